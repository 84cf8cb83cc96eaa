#include "gateway/auth/device_login.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum login_state { LOGIN_FREE, LOGIN_PENDING, LOGIN_APPROVED, LOGIN_DENIED };

struct login {
	enum login_state state;
	int64_t expires_ms, polled_ms;
	char device_code[DEVICE_CODE_BYTES], user_code[USER_CODE_BYTES];
	char address[64];
	char user[NAME_BYTES_MAX + 1];
	enum token_role role;
};

struct device_logins {
	pthread_mutex_t mutex;
	struct login logins[DEVICE_LOGINS_MAX];
};

int device_logins_open(struct device_logins **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return ERR_NO_MEMORY;
	pthread_mutex_init(&(*out)->mutex, NULL);
	return 0;
}

void device_logins_close(struct device_logins *logins)
{
	if (!logins)
		return;
	pthread_mutex_destroy(&logins->mutex);
	sodium_memzero(logins->logins, sizeof(logins->logins));
	free(logins);
}

static void make_code(char *out, size_t length, const char *alphabet)
{
	uint32_t letters = (uint32_t)strlen(alphabet);
	for (size_t i = 0; i < length; i++)
		out[i] = alphabet[randombytes_uniform(letters)];
	out[length] = 0;
}

/* Consonants only: nothing to confuse, and no words. */
static void make_user_code(char out[USER_CODE_BYTES])
{
	make_code(out, USER_CODE_BYTES - 1, "BCDFGHJKLMNPQRSTVWXZ");
	out[4] = '-';
}

/* Under the mutex. */
static struct login *free_slot(struct device_logins *logins, const char *address, int64_t now_ms)
{
	struct login *slot = NULL;
	unsigned of_address = 0;
	for (size_t i = 0; i < DEVICE_LOGINS_MAX; i++) {
		struct login *login = &logins->logins[i];
		if (login->state != LOGIN_FREE && login->expires_ms <= now_ms)
			sodium_memzero(login, sizeof(*login));
		if (login->state == LOGIN_FREE)
			slot = slot ? slot : login;
		else
			of_address += strcmp(login->address, address) == 0;
	}
	return of_address < DEVICE_LOGINS_PER_ADDRESS_MAX ? slot : NULL;
}

int device_login_begin(struct device_logins *logins, const char *address, int64_t now_ms, char device_code[DEVICE_CODE_BYTES], char user_code[USER_CODE_BYTES])
{
	pthread_mutex_lock(&logins->mutex);
	struct login *login = free_slot(logins, address, now_ms);
	if (login) {
		*login = (struct login){ .state = LOGIN_PENDING, .expires_ms = now_ms + DEVICE_LOGIN_MS };
		snprintf(login->address, sizeof(login->address), "%s", address);
		make_code(login->device_code, DEVICE_CODE_BYTES - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
		make_user_code(login->user_code);
		memcpy(device_code, login->device_code, DEVICE_CODE_BYTES);
		memcpy(user_code, login->user_code, USER_CODE_BYTES);
	}
	pthread_mutex_unlock(&logins->mutex);
	return login ? 0 : ERR_BUSY;
}

/* "bcdf ghjk" as it was made. False: it cannot be one. */
static bool normal_code(const char *text, char out[USER_CODE_BYTES])
{
	size_t length = 0;
	for (; *text; text++) {
		char c = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		if (c == '-' || c == ' ')
			continue;
		if (c < 'A' || c > 'Z' || length == USER_CODE_BYTES - 1)
			return false;
		if (length == 4)
			out[length++] = '-';
		out[length++] = c;
	}
	out[length < USER_CODE_BYTES ? length : 0] = 0;
	return length == USER_CODE_BYTES - 1;
}

/* Under the mutex: what waits under this code. */
static struct login *find_pending(struct device_logins *logins, const char *code, int64_t now_ms)
{
	for (size_t i = 0; i < DEVICE_LOGINS_MAX; i++) {
		struct login *login = &logins->logins[i];
		if (login->state == LOGIN_PENDING && login->expires_ms > now_ms && sodium_memcmp(login->user_code, code, USER_CODE_BYTES) == 0)
			return login;
	}
	return NULL;
}

int device_login_decide(struct device_logins *logins, const char *user_code, const char *user, enum token_role role, bool approve, int64_t now_ms)
{
	char code[USER_CODE_BYTES + 1];
	if (!normal_code(user_code, code))
		return ERR_NOT_FOUND;
	pthread_mutex_lock(&logins->mutex);
	struct login *login = find_pending(logins, code, now_ms);
	if (login) {
		login->state = approve ? LOGIN_APPROVED : LOGIN_DENIED;
		login->role = role;
		snprintf(login->user, sizeof(login->user), "%s", user);
	}
	pthread_mutex_unlock(&logins->mutex);
	return login ? 0 : ERR_NOT_FOUND;
}

int device_login_waits(struct device_logins *logins, const char *user_code, int64_t now_ms)
{
	char code[USER_CODE_BYTES + 1];
	if (!normal_code(user_code, code))
		return ERR_NOT_FOUND;
	pthread_mutex_lock(&logins->mutex);
	bool waits = find_pending(logins, code, now_ms) != NULL;
	pthread_mutex_unlock(&logins->mutex);
	return waits ? 0 : ERR_NOT_FOUND;
}

/* Under the mutex. */
static enum device_poll poll_login(struct login *login, int64_t now_ms, char user[NAME_BYTES_MAX + 1], enum token_role *role)
{
	bool too_soon = now_ms - login->polled_ms < (DEVICE_POLL_S - 1) * 1000;
	login->polled_ms = now_ms;
	if (login->state == LOGIN_PENDING)
		return too_soon ? DEVICE_SLOW_DOWN : DEVICE_PENDING;
	enum device_poll answer = login->state == LOGIN_APPROVED ? DEVICE_APPROVED : DEVICE_DENIED;
	memcpy(user, login->user, NAME_BYTES_MAX + 1);
	*role = login->role;
	sodium_memzero(login, sizeof(*login));
	return answer;
}

enum device_poll device_login_poll(struct device_logins *logins, const char *device_code, int64_t now_ms, char user[NAME_BYTES_MAX + 1], enum token_role *role)
{
	enum device_poll answer = DEVICE_EXPIRED;
	if (strlen(device_code) != DEVICE_CODE_BYTES - 1)
		return answer;
	pthread_mutex_lock(&logins->mutex);
	for (size_t i = 0; i < DEVICE_LOGINS_MAX; i++) {
		struct login *login = &logins->logins[i];
		if (login->state == LOGIN_FREE || login->expires_ms <= now_ms || sodium_memcmp(login->device_code, device_code, DEVICE_CODE_BYTES) != 0)
			continue;
		answer = poll_login(login, now_ms, user, role);
		break;
	}
	pthread_mutex_unlock(&logins->mutex);
	return answer;
}
