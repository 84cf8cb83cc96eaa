#include "gateway/search/scoring.h"

#include <math.h>

static const double units = 4294967296.0; /* of the stored logarithm: 32 bits behind the point */

uint64_t trend_of(const struct day_counts *likes, const struct day_counts *downloads, uint64_t today)
{
	double score = 0;
	for (unsigned age = 0; age < COUNTED_DAYS; age++) {
		double weight = TREND_LIKE_WEIGHT * (double)day_counts_at(likes, today, age) + sqrt((double)day_counts_at(downloads, today, age));
		score += weight * exp2(-(double)age / TREND_HALF_LIFE_DAYS);
	}
	if (score <= 0)
		return 0;
	double trend = (log2(score) + (double)today / TREND_HALF_LIFE_DAYS) * units;
	return trend > 1 ? (uint64_t)trend : 1;
}

uint64_t trending_score(uint64_t trend, uint64_t today)
{
	return trend ? (uint64_t)(exp2((double)trend / units - (double)today / TREND_HALF_LIFE_DAYS) + 0.5) : 0;
}
