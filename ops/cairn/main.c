/* main.c - cairn: the operator's command. One file per noun; this one finds the noun. */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "ops/cairn/commands.h"

static const char help[] =
	"cairn " CAIRN_VERSION " - looks after a cairn hub\n"
	"\n"
	"  cairn [--url URL] [--ca-file FILE] [--token-file FILE] [--data DIR] [--json] COMMAND ...\n"
	"\n"
	"People\n"
	"  user create NAME [--email E] [--fullname F] [--admin]\n"
	"  user list\n"
	"  user link NAME --issuer URL --subject SUB   whom an OpenID provider signs in as NAME\n"
	"  audit [--actor NAME] [--event NAME] [--repo OWNER/NAME] [--since 7d] [--limit N]   who changed what\n"
	"  org create NAME --admin USER [--fullname F] [--email E] [--private]\n"
	"  org list | update NAME ... | delete NAME\n"
	"  org member list ORG | set ORG USER read|contributor|write|admin | remove ORG USER\n"
	"  token create --user NAME --role read|write [--name TEXT] [--expires 90d]   prints it once, as JSON\n"
	"  token create --user NAME --fine-grained [--scope KIND:NAME=PERMISSION,...]... [--global PERMISSION,...] [--read-gated]\n"
	"  token list [USER]\n"
	"  token delete ID\n"
	"  app create NAME --owner USER --redirect URI [--scopes \"openid ...\"] [--secret]   an app that may ask users for access\n"
	"  app list | app delete CLIENT_ID\n"
	"  key add USER FILE [--title TEXT]    a public SSH key (- for standard input)\n"
	"  key list [USER]\n"
	"  key remove FINGERPRINT\n"
	"\n"
	"Repositories\n"
	"  repo list [--type model|dataset|space] [--owner NAME] [--usage]\n"
	"  repo create OWNER/NAME [--type T] [--private] [--sdk S] [--empty]\n"
	"  repo info OWNER/NAME [--type T]\n"
	"  repo stats OWNER/NAME [--type T]                     what it takes after dedup, and what deleting it would free\n"
	"  repo compact OWNER/NAME [--type T]                   merges its packs now, which the hub else does by itself\n"
	"  repo bundle OWNER/NAME [--type T]                    makes a bundle for clones now, which the hub else does for what is cloned often\n"
	"  repo protect OWNER/NAME [BRANCH [--allow-force] [--allow-delete] [--admins-only]] [--type T]\n"
	"  repo unprotect OWNER/NAME BRANCH [--type T]          BRANCH may have * and **; without one, lists the rules\n"
	"  repo delete OWNER/NAME [--type T] --yes\n"
	"  repo import URL|FOLDER OWNER/NAME [--type T] [--lfs]   every branch and tag of another git repository\n"
	"  repo mirror OWNER/NAME URL|FOLDER [--type T] [--lfs]   every branch and tag to another git repository\n"
	"  repo set OWNER/NAME [--type T] [--lfs-locks on|off] [--copies N|default]\n"
	"  repo lfs-gc OWNER/NAME [--type T] [--dry-run] [--grace 21d]   lets go of objects that no ref reaches\n"
	"  quota OWNER [SIZE|none]             shows or sets what an owner's repositories may hold\n"
	"\n"
	"Storage\n"
	"  status                       version, uptime, consensus, what is stored\n"
	"  stats                        what is stored\n"
	"  gc [--dry-run] [--grace 21d] frees what no revision needs any more\n"
	"  scrub                        reads every stored byte and checks it; exit status 2 when something is damaged\n"
	"  index status|rebuild         what lists and search answer from\n"
	"  operation list|cancel ID     running and recent gc and scrub\n"
	"  dump xorb HASH | shard FILE | volume FILE  what is inside\n"
	"  backup TO                    copies names and bytes of the running hub in --data DIR; again: what is new\n"
	"  restore FROM                 makes --data DIR, which must be empty, from a backup\n"
	"  fsck [--rebuild-index]       checks --data DIR while no server runs; exit status 2 when something is damaged\n"
	"\n"
	"Git over SSH (docs/ssh.md)\n"
	"  ssh-keys FINGERPRINT         for sshd's AuthorizedKeysCommand\n"
	"  ssh-shell --key FINGERPRINT  what every SSH session runs\n"
	"\n"
	"Cluster\n"
	"  cluster status               nodes, leaders, what each still misses\n"
	"  cluster token [--voter]      a one-time token for `cairnd --join`\n"
	"  cluster promote|demote NODE...  let nodes vote, or only follow\n"
	"  cluster drain [--undo] NODE...  others take over what nodes hold\n"
	"  cluster remove NODE... --yes [--force]  nodes leave for ever; --force: also with the last copy of something\n"
	"  cluster set [--replication-factor N] [--copies N] [--grace 15m] [--erasure K+M|off] [--erasure-after 7d]\n"
	"  cluster repair [--wait]      every node looks after its copies now; --wait: until they have\n"
	"  cluster upgrade              once every node has the newer program: lets the cluster use what that one can\n"
	"  cluster recover [--yes]      on a stopped node: go on without a majority that is lost for good\n"
	"\n"
	"Where\n"
	"  --url URL                    the hub ($CAIRN_URL, http://127.0.0.1:8080)\n"
	"  --ca-file FILE               PEM certificates that its own is checked by ($SSL_CERT_FILE, those of the system)\n"
	"  --data DIR                   its data directory, for the token and fsck (./data)\n"
	"  --token-file FILE            an admin's write token (DIR/admin-token if --data is given, $CAIRN_TOKEN_FILE, ./data/admin-token)\n"
	"  --json                       one JSON value on stdout; what fails says why on stderr alone, and by its exit status\n"
	"\n"
	"cairn COMMAND --help tells more. Exit status: 0 done, 1 failed, 2 damage found, 64 not understood.\n";

static const struct noun nouns[] = {
	{ "cluster", cluster_main, "cairn cluster status\ncairn cluster token [--voter]\ncairn cluster promote|demote NODE...\n"
		"cairn cluster drain [--undo] NODE...\ncairn cluster remove NODE... --yes [--force]\n"
		"cairn cluster set [--replication-factor N] [--copies N] [--grace DURATION] [--erasure K+M|off] [--erasure-after DURATION]\n"
		"cairn cluster repair [--wait]\ncairn cluster upgrade\ncairn cluster recover --data DIR [--yes]\n\n"
		"token prints what a new node is started with: cairnd --data NEW --cluster-listen HOST:PORT --join TOKEN. It is good for one node and\n"
		"one day. A node joins as a learner, which follows and does not vote, or with --voter as a voter once it has caught up. Have 3 or 5\n"
		"voters. A removed node is never let in again under its id: wipe its data directory and join it anew.\n"
		"drain lets others take over what nodes hold; status says when they may be removed. remove is refused while a node has the last copy of\n"
		"anything, or may have it; --force removes it all the same, and what nobody else has is lost.\n"
		"set is for all nodes: how many copies there are of everything (3), how many an upload waits for (0: as each node's --copies says), how\n"
		"long a node may be gone before others take over what it held (15m; at least 5s), and whether what is older than 7 days is kept as K\n"
		"parts of data and M of parity. DURATION: 90, 90s, 30m, 12h, 21d. repair makes every node look after its copies now:\n"
		"it fetches what it should have and gives up what is one too many. With --wait it shows how far that is, and fails when something is missing still.\n"
		"upgrade raises the feature level to the highest one that every node's program knows, after which no node can go back to an older program;\n"
		"it is refused while a node is away, or knows no higher level than the cluster is at. status says when there is something to raise.\n"
		"With --json these print what was asked for: the cluster makes it so in its own time. repair --wait prints the status that it ended with,\n"
		"upgrade what it has done.\n"
		"recover works on the data directory of a node that is stopped, when most of the voters are lost for good: without --yes it tells what would\n"
		"happen, with --yes the node becomes the only voter, and no other one is ever let in again. What only the others knew is lost.\n" },
	{ "status", status_main, "cairn status\n\nVersion, uptime and memory of the hub; its place in the consensus; what it stores.\n" },
	{ "stats", stats_main, "cairn stats\n\n"
		"files: what clients see, each repository counted on its own. unique: the same after dedup. stored: after compression.\n"
		"on disk: with what gc has not compacted yet. cairn repo stats tells the same of one repository.\n" },
	{ "user", user_main, "cairn user create NAME [--email E] [--fullname F] [--admin]\ncairn user list\n"
		"cairn user link NAME --issuer URL --subject SUB\n\n"
		"A user owns a namespace of the same name. --admin lets their write tokens do everything, these commands included.\n"
		"link says which user somebody is who signs in through the OpenID provider of cairnd --openid-issuer (docs/oauth.md).\n" },
	{ "audit", audit_main, "cairn audit [--actor NAME] [--event NAME] [--repo OWNER/NAME] [--since DURATION] [--limit N]\n\n"
		"Who changed what, newest last: at most 1000 entries of the last 8 MiB of this node's audit log. Events are user-create,\n"
		"token-create, token-delete, repo-create, repo-settings, repo-move, repo-delete, ref-update, org-create, member-set,\n"
		"member-delete, cluster-upgrade and others; read, when cairnd runs with --audit-reads.\n" },
	{ "org", org_main, "cairn org create NAME --admin USER [--fullname F] [--email E] [--private]\n"
		"cairn org update NAME [--fullname F] [--email E] [--private|--public]\ncairn org list\ncairn org delete NAME\n"
		"cairn org member list ORG\ncairn org member set ORG USER read|contributor|write|admin\ncairn org member remove ORG USER\n\n"
		"An organisation is a namespace that several users share. read sees its private repositories; contributor also creates\n"
		"repositories and changes those; write changes all; admin also deletes, moves and decides about members.\n"
		"--private: repositories are made private unless their maker says otherwise. Its own admins may call update and member too.\n" },
	{ "token", token_main, "cairn token create --user NAME --role read|write [--name TEXT] [--expires 90d]\n"
		"cairn token create --user NAME --fine-grained [--scope KIND:NAME=PERMISSION[,PERMISSION]...]... [--global PERMISSION[,...]]\n"
		"                   [--read-gated] [--name TEXT] [--expires 90d]\n"
		"cairn token list [USER]\ncairn token delete ID\n\n"
		"KIND is model, dataset, space, kernel, user or org; a user's or an organisation's scope is every repository of theirs.\n"
		"PERMISSION is repo.content.read, repo.write, repo.access.read, discussion.write, collection.read, collection.write, org.read,\n"
		"org.write, user.webhooks.read, user.webhooks.write and others. A fine-grained token does nothing else; public repositories\n"
		"it reads like anybody.\n"
		"The text of a token is printed once, at create: {\"token\": \"hf_...\"}; the hub keeps only a digest. A deleted token stops\n"
		"working at once, except that transfers it has begun may finish.\n" },
	{ "key", key_main, "cairn key add USER FILE [--title TEXT]\ncairn key list [USER]\ncairn key remove FINGERPRINT\n\n"
		"Public SSH keys: whoever holds the private half is USER to git over SSH. FILE is what ssh-keygen wrote into *.pub; - reads it from\n"
		"standard input. Ed25519, ECDSA, RSA from 2048 bits on, and keys in security tokens. A key belongs to one user, who gets at most 100.\n"
		"FINGERPRINT is SHA256:... as list and ssh-keygen -l show it. Users add their own with POST /api/settings/ssh-keys.\n" },
	{ "app", app_main, "cairn app create NAME --owner USER --redirect URI [--redirect URI]... [--scopes \"SCOPE ...\"] [--secret] [--eddsa]\n"
		"cairn app list\ncairn app delete CLIENT_ID\n\n"
		"Apps sign users in and act for them with OAuth 2 and OpenID Connect (docs/oauth.md). A redirect URI must be given exactly as the app\n"
		"sends it; one on 127.0.0.1, [::1] or localhost is good on any port, one that ends in ?* with any query. --scopes is the most that the app may ask for (all of them).\n"
		"--secret is for apps with a server of their own: {\"client_secret\": ...} is printed once, the hub keeps only a digest. Without it\n"
		"the app must use PKCE. --eddsa signs its identity tokens with Ed25519 in place of RSA. A deleted app's tokens stop at once.\n" },
	{ "ssh-keys", ssh_keys_main, "cairn ssh-keys FINGERPRINT\ncairn ssh-keys TYPE KEY\n\n"
		"For sshd's AuthorizedKeysCommand: prints the authorized_keys line of a known key, which forces cairn ssh-shell, and nothing for any\n"
		"other. docs/ssh.md has the lines for sshd_config. Exit status 0 unless the hub cannot be asked.\n" },
	{ "ssh-shell", ssh_shell_main, "cairn ssh-shell --key FINGERPRINT\n\n"
		"The forced command of everybody who comes in over SSH: serves git-upload-pack, git-receive-pack and git-lfs-authenticate from\n"
		"$SSH_ORIGINAL_COMMAND, as the owner of the key and on this hub's machine. Everything else is refused with a sentence.\n" },
	{ "repo", repo_main, "cairn repo list [--type T] [--owner NAME] [--usage]\ncairn repo create OWNER/NAME [--type T] [--private] [--sdk S] [--empty]\n"
		"cairn repo info OWNER/NAME [--type T]\ncairn repo stats OWNER/NAME [--type T]\n"
		"cairn repo protect OWNER/NAME [BRANCH [--allow-force] [--allow-delete] [--admins-only]] [--type T]\n"
		"cairn repo unprotect OWNER/NAME BRANCH [--type T]\ncairn repo delete OWNER/NAME [--type T] --yes\n"
		"cairn repo set OWNER/NAME [--type T] [--lfs-locks on|off] [--copies N|default]\ncairn repo lfs-gc OWNER/NAME [--type T] [--dry-run] [--grace DURATION]\n\n"
		"Types: model (default), dataset, space, kernel; a space needs an sdk. --usage adds files and bytes of all revisions.\n"
		"A deleted repository is gone at once; gc frees its bytes after the grace time.\n"
		"stats counts what all revisions hold. unique: every chunk once, uncompressed. stored: one copy, compressed. shared: what others need too,\n"
		"since it lies in the same xorbs. freed: what gc would free if the repository were deleted. It takes minutes for a million files.\n"
		"set --lfs-locks on lets git-lfs lock files; pushes and commits that change what another has locked are then refused.\n"
		"set --copies N says on how many nodes of a cluster its content lies, 1 to 5; what it shares with others lies on as many as the\n"
		"most demanding of them wants. default: as many as the cluster makes.\n"
		"lfs-gc lists and drops what the repository holds and none of its refs reaches, if it came longer ago than the grace time (21d).\n\n"
		"cairn repo import URL|FOLDER OWNER/NAME [--type T] [--private] [--sdk S] [--lfs] [--lfs-migrate SIZE] [--prune] [--force] [--work DIR]\n\n"
		"Brings every branch and tag of another git repository; OWNER/NAME is made when it is not there. Run it again to go on after an\n"
		"interruption, or to bring what is new: a bare mirror of the source is kept in DIR (~/.cache/cairn/mirrors/...), only what differs moves.\n"
		"  --lfs               LFS objects of all branches and tags as well\n"
		"  --lfs-migrate SIZE  rewrites history so that files above SIZE (10MiB) become LFS objects, for files that the hub refuses in git\n"
		"  --prune             removes branches and tags from the hub that the source does not have any more\n"
		"  --force             overwrites commits that were made on the hub and that the source never had; without it, nothing is changed then\n"
		"The hub's default branch is main: a source that has no main gets its default branch under both names. Users and passwords in URL are\n"
		"shown nowhere and kept nowhere; git's own credential helpers and SSH keys serve as well.\n\n"
		"cairn repo mirror OWNER/NAME URL|FOLDER [--type T] [--lfs] [--work DIR]\n\n"
		"Makes the branches and tags of another git repository those of OWNER/NAME: what differs is moved, what the hub does not have is deleted\n"
		"there. Pull requests stay here. --lfs sends LFS objects first. Repeating it changes nothing.\n" },
	{ "quota", quota_main, "cairn quota OWNER [SIZE|none]\n\n"
		"How many bytes the repositories of a user or organisation hold, all revisions counted, each repository on its own whatever dedup saves;\n"
		"and how many they may. Uploads beyond it are refused before their bytes flow. SIZE: 500M, 10G, 2T; none takes the limit away.\n" },
	{ "gc", gc_main, "cairn gc [--dry-run] [--grace DURATION]\n\n"
		"Drops what no revision of any repository needs and what nobody has uploaded or used within the grace time, then moves what\n"
		"is left out of volumes that are mostly dead. Safe while clients push. DURATION: 90s, 30m, 12h, 21d (default).\n"
		"Clients remember their uploads for 21 days and do not send them again: a shorter grace can make their pushes fail until\n"
		"they clear their cache.\n" },
	{ "scrub", scrub_main, "cairn scrub\n\n"
		"Reads every record of every volume and compares it with its checksum. Names what is damaged. Run it monthly.\n" },
	{ "index", index_main, "cairn index status\ncairn index rebuild\n\n"
		"The index of all repositories, from which lists and search are answered. It follows every change by itself, and can be lost: it is made\n"
		"from names and from git. rebuild makes it anew beside the one in use, which serves until the new one is whole.\n" },
	{ "operation", operation_main, "cairn operation list\ncairn operation cancel ID\n\nThe gc and scrub runs that the hub remembers.\n" },
	{ "dump", dump_main, "cairn dump xorb HASH\ncairn dump shard FILE\ncairn dump volume FILE\n\n"
		"The chunks of a stored xorb; the files and xorbs named in a shard file; the records of a volume, DIR/store/volumes/*.vol, and where it\n"
		"is damaged (exit status 2).\n" },
	{ "backup", backup_main, "cairn backup TO [--data DIR] [--accept-damage]\n\n"
		"Copies everything that the hub has acknowledged, while it serves: names (users, tokens, repositories, refs) and volumes. Run it on the\n"
		"hub's machine, as a user that may read its data directory DIR; --url must lead to the hub of that directory. Into the same TO again, it copies\n"
		"what is new. TO is as it was until the new backup is complete, and when the hub has lost something that is stored: then none is made, unless\n"
		"you say --accept-damage. It holds secrets (the hub's keys, admin-token): guard it like the hub.\n"
		"TO is a directory, which any tool can copy elsewhere, or s3://BUCKET/PREFIX in any S3 service, with address and keys from the environment as\n"
		"the AWS tools have them: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.\n" },
	{ "restore", restore_main, "cairn restore FROM --data DIR\n\n"
		"Makes the data directory DIR, which must be empty or absent, from a backup, a directory or s3://BUCKET/PREFIX. Then start cairnd with it; its first start reads all\n"
		"volumes to make the index anew. It is a hub of its own: no node of the old one is a node of it; new ones join it (cairn cluster token). Clients\n"
		"cannot tell the two apart, so do not let both serve them.\n" },
	{ "fsck", fsck_main, "cairn fsck [--data DIR] [--rebuild-index]\n\n"
		"Checks every record of the store in DIR, and that everything a record names is there. The hub must be stopped.\n"
		"--rebuild-index throws the index away first and makes it anew from the volumes, which are the truth.\n" },
};

int main(int argc, char **argv)
{
	struct settings settings;
	int status = settings_take(&settings, &argc, argv);
	if (status)
		return status;
	if (sodium_init() < 0)
		return EXIT_FAILED;
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("cairn " CAIRN_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(nouns) / sizeof(nouns[0]); i++) {
		if (strcmp(nouns[i].name, argv[1]) != 0)
			continue;
		if (!settings.help)
			return nouns[i].main(&settings, argc - 1, argv + 1);
		fputs(nouns[i].help, stdout);
		return EXIT_OK;
	}
	if (argc > 1 && argv[1][0] == '-')
		return usage_error(NULL, "there is no option \"%s\"", argv[1]);
	if (argc > 1 && strcmp(argv[1], "help") != 0)
		return usage_error(NULL, "there is no command \"%s\"", argv[1]);
	fputs(help, settings.help || argc > 1 ? stdout : stderr);
	return settings.help || argc > 1 ? EXIT_OK : EXIT_USAGE;
}
