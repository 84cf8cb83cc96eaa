/* Any bytes as a command over SSH: what is taken names a repository by bytes that are safe in a path. */
#include "schemas/ssh_command.h"

#include <assert.h>

static void check_name(struct span name)
{
	assert(name.length > 0);
	for (size_t i = 0; i < name.length; i++)
		assert(name.data[i] > ' ' && name.data[i] < 0x7f && name.data[i] != '/' && name.data[i] != '\'' && name.data[i] != '"');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_command command;
	struct why why = { 0 };
	int err = ssh_command_parse(&command, span_of(data, size), &why);
	assert((err != 0) == (why.text[0] != 0));
	if (err || command.service == SSH_GREETING)
		return 0;
	assert(command.type);
	check_name(command.owner);
	check_name(command.name);
	return 0;
}
