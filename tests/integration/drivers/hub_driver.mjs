// One function of npm's @huggingface/hub per behaviour under test: JSON in, the last line of output is JSON.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as hub from "@huggingface/hub";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

// {repo, hubUrl, accessToken} as every call of the library wants them.
const where = ({ repo, hubUrl, accessToken }) => ({ repo, hubUrl, ...(accessToken ? { accessToken } : {}) });

// The library puts paths into addresses as they are: what would end a path there is the caller's to escape.
const inAddress = (path) => path.replace(/[%#?]/g, encodeURIComponent);

async function filesBelow(folder) {
	const found = await readdir(folder, { recursive: true, withFileTypes: true });
	return found.filter((item) => item.isFile()).map((item) => join(item.parentPath ?? item.path, item.name).slice(folder.length + 1));
}

async function collect(generator, pick) {
	const found = [];
	for await (const item of generator) {
		found.push(pick(item));
	}
	return found;
}

const actions = {
	// Signs somebody in whose session is `cookie`, as a page would that runs the library: {accessToken, userInfo, scope, state}.
	oauth: async ({ hubUrl, clientId, redirectUrl, scopes, state, cookie }) => {
		const localStorage = {};
		const url = await hub.oauthLoginUrl({ clientId, hubUrl, redirectUrl, scopes, state, localStorage });
		const answer = await fetch(url, { method: "POST", headers: { Cookie: cookie }, redirect: "manual" });
		return hub.oauthHandleRedirect({ redirectedUrl: answer.headers.get("Location"), hubUrl, ...localStorage });
	},
	// Head and claims of an identity token whose signature fits one of the keys.
	verifyIdentity: async ({ token, jwks }) => {
		const [head, claims, signature] = token.split(".");
		const header = JSON.parse(Buffer.from(head, "base64url"));
		const key = createPublicKey({ key: jwks.keys.find(({ kid }) => kid === header.kid), format: "jwk" });
		const valid = verify(header.alg === "RS256" ? "sha256" : null, Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, "base64url"));
		return { valid, header, claims: JSON.parse(Buffer.from(claims, "base64url")) };
	},

	// Any functions of the library, in turn: [name, arguments] each, where {bytes: n} stands for content; what came of it, or the status.
	calls: async ({ calls, hubUrl, accessToken }) => {
		const revive = (value) => typeof value?.bytes === "number" ? new Blob([new Uint8Array(value.bytes)]) :
			Array.isArray(value) ? value.map(revive) :
			value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)])) : value;
		const outcomes = [];
		for (const [name, given] of calls) {
			try {
				const made = hub[name]({ hubUrl, accessToken, ...revive(given) });
				const result = made?.[Symbol.asyncIterator] ? await collect(made, (item) => item) : await made;
				outcomes.push([name, { result: result instanceof Blob ? { size: result.size } : result ?? null }]);
			} catch (error) {
				outcomes.push([name, { status: error.statusCode ?? null, error: String(error) }]);
			}
		}
		return outcomes;
	},
	whoAmI: async (params) => (await hub.whoAmI(where(params))).name,
	createRepo: async ({ options, ...params }) => hub.createRepo({ ...where(params), ...options }),
	deleteRepo: async (params) => hub.deleteRepo(where(params)),
	repoExists: async (params) => hub.repoExists(where(params)),
	modelInfo: async ({ name, ...params }) => hub.modelInfo({ ...where(params), name, additionalFields: ["sha"] }),

	uploadFolder: async ({ folder, useXet, ...params }) => {
		const files = [];
		for (const path of await filesBelow(folder)) {
			files.push({ path, content: new Blob([await readFile(join(folder, path))]) });
		}
		return (await hub.uploadFiles({ ...where(params), files, useXet })).commit;
	},
	uploadText: async ({ path, text, branch, ...params }) =>
		(await hub.uploadFile({ ...where(params), branch, file: { path, content: new Blob([text]) } })).commit,
	deleteFiles: async ({ paths, ...params }) => hub.deleteFiles({ ...where(params), paths }),

	listFiles: async ({ recursive, path, revision, ...params }) =>
		collect(hub.listFiles({ ...where(params), recursive, path, revision }), ({ path, type, size, xetHash }) => ({ path, type, size, xetHash })),
	listCommits: async (params) => collect(hub.listCommits(where(params)), ({ oid, title, authors }) => ({ oid, title, authors })),
	countCommits: async (params) => hub.countCommits({ ...where(params), revision: "main" }),
	fileExists: async ({ path, ...params }) => hub.fileExists({ ...where(params), path }),
	fileDownloadInfo: async ({ path, ...params }) => {
		const info = await hub.fileDownloadInfo({ ...where(params), path });
		return info && { size: info.size, etag: info.etag, xet: Boolean(info.xet) };
	},
	// Every file of the listing through downloadFile: {path: SHA-256}.
	downloadAll: async ({ revision, xet, ...params }) => {
		const found = {};
		for await (const item of hub.listFiles({ ...where(params), recursive: true, revision })) {
			if (item.type !== "file") {
				continue;
			}
			const blob = await hub.downloadFile({ ...where(params), path: inAddress(item.path), revision, xet });
			found[item.path] = blob && sha256(Buffer.from(await blob.arrayBuffer()));
		}
		return found;
	},
	propose: async ({ path, text, ...params }) => {
		const { pullRequestUrl, commit } = await hub.uploadFiles({ ...where(params), isPullRequest: true, commitTitle: "From outside",
			files: [{ path, content: new Blob([text]) }] });
		return { pullRequestUrl, oid: commit.oid };
	},
	downloadSlice: async ({ path, begin, end, ...params }) => {
		const blob = await hub.downloadFile({ ...where(params), path });
		return sha256(Buffer.from(await blob.slice(begin, end).arrayBuffer()));
	},
	downloadRaw: async ({ path, ...params }) => (await hub.downloadFile({ ...where(params), path, raw: true })).text(),
	snapshotDownload: async ({ cacheDir, ...params }) => hub.snapshotDownload({ ...where(params), cacheDir }),

	createBranch: async ({ branch, empty, ...params }) => hub.createBranch({ ...where(params), branch, empty }),
	deleteBranch: async ({ branch, ...params }) => hub.deleteBranch({ ...where(params), branch }),
	collection: async ({ namespace, hubUrl, accessToken }) => {
		const at = { hubUrl, accessToken };
		const { slug } = await hub.createCollection({ ...at, collection: { title: "From JavaScript", namespace, description: "d", private: false } });
		const listed = await collect(hub.listCollections({ ...at, search: { owner: [namespace] } }), (item) => item.slug);
		await hub.deleteCollection({ ...at, slug });
		const after = await collect(hub.listCollections({ ...at, search: { owner: [namespace] } }), (item) => item.slug);
		return { slug, listed, after };
	},
	listDatasets: async ({ owner, tags, ...params }) =>
		collect(hub.listDatasets({ ...where(params), search: { owner, tags } }), ({ name, private: isPrivate, likes }) => ({ name, private: isPrivate, likes })),
	listSpaces: async ({ owner, ...params }) =>
		collect(hub.listSpaces({ ...where(params), search: { owner } }), ({ name, sdk, private: isPrivate }) => ({ name, sdk, private: isPrivate })),
	findModels: async ({ search, sort, ...params }) =>
		collect(hub.listModels({ ...where(params), search, sort, additionalFields: ["tags", "library_name"] }), ({ name, task, tags, library_name }) => ({ name, task, tags, library_name })),
	listModels: async ({ owner, ...params }) =>
		collect(hub.listModels({ ...where(params), search: { owner } }), ({ name, private: isPrivate }) => ({ name, private: isPrivate })),
};

let input = "";
for await (const part of process.stdin) {
	input += part;
}
let answer;
try {
	answer = { result: (await actions[process.argv[2]](JSON.parse(input))) ?? null };
} catch (error) {
	console.error(error);
	answer = { error: { name: error.constructor.name, message: String(error.message), status: error.statusCode, requestId: error.requestId } };
}
console.log("\n" + JSON.stringify(answer));
