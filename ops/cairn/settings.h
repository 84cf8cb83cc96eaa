/* settings.h - what every command of `cairn` takes, wherever it stands on the command line. */
#ifndef CAIRN_OPS_CAIRN_SETTINGS_H
#define CAIRN_OPS_CAIRN_SETTINGS_H

#include <limits.h>
#include <stdbool.h>

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,  /* refused, unreachable, broken */
	EXIT_DAMAGE = 2,  /* scrub or fsck found something */
	EXIT_USAGE = 64,
};

struct settings {
	const char *url;                       /* without a slash at the end */
	const char *data_dir;
	char token_file[PATH_MAX];
	const char *ca_file;                   /* certificates of the authorities to believe, a full path where there is one; NULL: the system's */
	bool json;                             /* machine-readable output */
	bool help;
};

/* Takes the common options out of argv (compacting it, argv[0] stays). 0 or EXIT_USAGE with a sentence on stderr. */
int settings_take(struct settings *out, int *argc, char **argv);

/* One noun of the command line. `main` gets argv[0] = the noun. */
struct noun {
	const char *name;
	int (*main)(const struct settings *settings, int argc, char **argv);
	const char *help;
};

/* Prints "cairn: ..." and a hint to --help of that noun. */
int usage_error(const char *noun, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
