#include "gateway/hub/draft_content.h"

int draft_store_content(struct commit_draft *draft, struct span content, struct upload_result *out, struct why *why)
{
	struct upload *upload = commit_draft_upload(draft);
	int err = upload_file_begin(upload, content.length);
	if (err)
		return err;
	err = upload_want_git_oid(upload, content.length);
	if (err == 0 && content.length)
		err = upload_file_write(upload, content.data, content.length, why);
	if (err == 0)
		return upload_file_end(upload, out, why);
	upload_file_abort(upload);
	return err;
}
