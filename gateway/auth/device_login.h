/* device_login.h - logins that one device asks for and a browser elsewhere decides about (RFC 8628).
 *
 * DESIGN. The device gets a secret code to poll with and a short one to show; a user who is signed in types the short one and says yes or no. All of it is in
 * memory for DEVICE_LOGIN_MS at most and forgotten when the server stops: whoever waited begins again. Bounded in number, in all and per address. What a
 * device gets never reaches further than the token of the session that said yes.
 *
 * Any thread. */
#ifndef CAIRN_GATEWAY_AUTH_DEVICE_LOGIN_H
#define CAIRN_GATEWAY_AUTH_DEVICE_LOGIN_H

#include "replication/namespace.h"

enum {
	DEVICE_LOGINS_MAX = 1024,
	DEVICE_LOGINS_PER_ADDRESS_MAX = 32,
	DEVICE_LOGIN_MS = 15 * 60 * 1000,
	DEVICE_POLL_S = 5,
	DEVICE_CODE_BYTES = 41,  /* 40 letters and digits and NUL */
	USER_CODE_BYTES = 10,    /* "BCDF-GHJK" and NUL */
};

struct device_logins;
int device_logins_open(struct device_logins **out);
void device_logins_close(struct device_logins *logins);

/* 0; ERR_BUSY: too many wait. */
int device_login_begin(struct device_logins *logins, const char *address, int64_t now_ms, char device_code[DEVICE_CODE_BYTES], char user_code[USER_CODE_BYTES]);

/* Yes from `user`, whose session has this role, or no. Codes are taken in any case, with or without the dash. ERR_NOT_FOUND: no such code, or no longer. */
int device_login_decide(struct device_logins *logins, const char *user_code, const char *user, enum token_role role, bool approve, int64_t now_ms);
/* 0 while it waits for a decision, else ERR_NOT_FOUND. */
int device_login_waits(struct device_logins *logins, const char *user_code, int64_t now_ms);

enum device_poll { DEVICE_PENDING, DEVICE_SLOW_DOWN, DEVICE_EXPIRED, DEVICE_DENIED, DEVICE_APPROVED };
/* A decision is told once. DEVICE_APPROVED fills `user` and `role`. */
enum device_poll device_login_poll(struct device_logins *logins, const char *device_code, int64_t now_ms, char user[NAME_BYTES_MAX + 1], enum token_role *role);

#endif
