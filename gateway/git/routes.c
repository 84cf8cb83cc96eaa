/* routes.c - git over HTTP. Addresses with ".git" behind the name are the same repository. */
#include "gateway/git/git.h"
#include "gateway/git/receive_pack.h"
#include "gateway/git/ssh_session.h"

#define MODEL "/{}/{}"
#define OTHER "/{datasets|spaces|kernels}/{}/{}"

const struct route git_routes[] = {
	{ HTTP_POST, "/api/admin/ssh-session", ssh_session, "git-ssh-session" },
	{ HTTP_POST, "/api/admin/repos/{model|dataset|space|kernel}/{}/{}/compact", git_compact, "git-compact" },
	{ HTTP_POST, "/api/admin/repos/{model|dataset|space|kernel}/{}/{}/bundle", git_bundle_make, "git-bundle-make" },
	{ HTTP_GET | HTTP_HEAD, "/api/git/bundles/{}", git_bundle_download, "git-bundle" },
	{ HTTP_GET | HTTP_HEAD, OTHER "/info/bundles", git_bundle_list, "git-bundle-list" },
	{ HTTP_GET | HTTP_HEAD, MODEL "/info/bundles", git_bundle_list, "git-bundle-list" },
	{ HTTP_GET, OTHER "/info/refs", git_info_refs, "git-info-refs" },
	{ HTTP_GET, MODEL "/info/refs", git_info_refs, "git-info-refs" },
	{ HTTP_POST, OTHER "/git-upload-pack", git_upload_pack, "git-upload-pack" },
	{ HTTP_POST, MODEL "/git-upload-pack", git_upload_pack, "git-upload-pack" },
	{ HTTP_POST, OTHER "/git-receive-pack", git_receive_pack, "git-receive-pack" },
	{ HTTP_POST, MODEL "/git-receive-pack", git_receive_pack, "git-receive-pack" },
	{ HTTP_GET, OTHER "/HEAD", git_dumb, "git-dumb" },
	{ HTTP_GET, MODEL "/HEAD", git_dumb, "git-dumb" },
	{ HTTP_GET, OTHER "/objects/**", git_dumb, "git-dumb" },
	{ HTTP_GET, MODEL "/objects/**", git_dumb, "git-dumb" },
	{ 0, NULL, NULL, NULL },
};
