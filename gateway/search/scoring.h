/* scoring.h - how much a repository is wanted these days.
 *
 * DESIGN. Each day's likes and downloads weigh half as much a week later. The order of scores that decay alike never changes while nothing happens, so what is
 * kept to sort by is the logarithm of the score as it would have been on day 0: it stays true without being touched, and the score of a day follows
 * from it. Pure. */
#ifndef CAIRN_GATEWAY_SEARCH_SCORING_H
#define CAIRN_GATEWAY_SEARCH_SCORING_H

#include "replication/day_counts.h"

enum { TREND_HALF_LIFE_DAYS = 7, TREND_LIKE_WEIGHT = 8 };

/* To sort by; 0: nothing in the days that are counted. */
uint64_t trend_of(const struct day_counts *likes, const struct day_counts *downloads, uint64_t today);
/* What it comes to on a day: what clients are shown. */
uint64_t trending_score(uint64_t trend, uint64_t today);

#endif
