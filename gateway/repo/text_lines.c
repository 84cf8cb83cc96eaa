#include "gateway/repo/text_lines.h"

#include <git2.h>

static int write_hunk(struct buffer *out, git_patch *patch, size_t i)
{
	const git_diff_hunk *hunk;
	size_t lines;
	if (git_patch_get_hunk(&hunk, &lines, patch, i) != 0)
		return ERR_NO_MEMORY;
	buffer_append(out, hunk->header, hunk->header_len);
	for (size_t k = 0; k < lines; k++) {
		const git_diff_line *line;
		if (git_patch_get_line_in_hunk(&line, patch, i, k) != 0)
			return ERR_NO_MEMORY;
		if (line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION || line->origin == GIT_DIFF_LINE_DELETION)
			buffer_append_byte(out, (uint8_t)line->origin);
		buffer_append(out, line->content, line->content_len);
	}
	return 0;
}

int text_lines_diff(struct buffer *out, struct span old_text, struct span new_text)
{
	git_patch *patch = NULL;
	git_diff_options options;
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	if (git_patch_from_buffers(&patch, old_text.data ? (const char *)old_text.data : "", old_text.length, "a",
		new_text.data ? (const char *)new_text.data : "", new_text.length, "b", &options) != 0)
		return ERR_NO_MEMORY;
	int err = 0;
	for (size_t i = 0; i < git_patch_num_hunks(patch) && err == 0; i++)
		err = write_hunk(out, patch, i);
	git_patch_free(patch);
	return err;
}

static git_merge_file_input input_of(struct span text)
{
	git_merge_file_input input;
	git_merge_file_input_init(&input, GIT_MERGE_FILE_INPUT_VERSION);
	input.ptr = text.data ? (const char *)text.data : "";
	input.size = text.length;
	input.path = "file";
	input.mode = 0100644;
	return input;
}

int text_lines_merge(struct buffer *out, struct span base, struct span ours, struct span theirs)
{
	git_merge_file_input inputs[] = { input_of(base), input_of(ours), input_of(theirs) };
	git_merge_file_result result = { 0 };
	git_merge_file_options options;
	git_merge_file_options_init(&options, GIT_MERGE_FILE_OPTIONS_VERSION);
	if (git_merge_file(&result, &inputs[0], &inputs[1], &inputs[2], &options) != 0)
		return ERR_NO_MEMORY;
	int err = result.automergeable ? buffer_append(out, result.ptr, result.len) : ERR_CONFLICT;
	git_merge_file_result_free(&result);
	return err;
}
