"""Long git histories made quickly: a stream for `git fast-import`, the same for the same numbers."""
import random
import subprocess


def make_history(path, commits, files, seed="history", folder_files=100):
    """A bare repository with `commits` commits on main and `files` files in folders of `folder_files`; every tenth commit adds, others change."""
    chance = random.Random(seed)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    process = subprocess.Popen(["git", "fast-import", "--quiet", "--done"], cwd=path, stdin=subprocess.PIPE)
    out = process.stdin
    words = [chance.randbytes(6).hex() for _ in range(4000)]
    first = max(files - commits // 10, 1)

    def name(number):
        return f"folder-{number // folder_files // 30:03}/part-{number // folder_files % 30:02}/file-{number:06}.txt"

    def content(size):
        return (" ".join(chance.choices(words, k=max(size // 13, 1))) + "\n").encode()

    def blob(number, size):
        data = content(size)
        out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name(number).encode(), len(data), data))

    known = 0
    for commit in range(commits):
        message = f"commit {commit}\n\n{' '.join(chance.choices(words, k=5))}\n".encode()
        out.write(b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata %d\n%s" % (1_600_000_000 + 60 * commit, len(message), message))
        if commit == 0:
            for number in range(first):
                blob(number, 200)
            known = first
        elif commit % 10 == 0 and known < files:
            blob(known, 400)
            known += 1
        else:
            blob(chance.randrange(known), chance.choice((100, 300, 900)))
        out.write(b"\n")
    out.write(b"done\n")
    out.close()
    assert process.wait() == 0
    return path
