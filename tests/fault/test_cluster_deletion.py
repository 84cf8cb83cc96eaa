"""An object that a commit names is not deleted through a node that has not heard of the commit."""
import hashlib

from chaos_proxy import eventually
from cluster_process import Cluster, Patient
from samples import random_bytes


def test_a_node_that_lags_behind_deletes_no_object_that_a_commit_names(tmp_path):
    cluster = Cluster(tmp_path / "cluster", True)
    cluster.dir.mkdir()
    try:
        for _ in range(3):
            cluster.grow()
        cluster.wait_for_voters(3)
        leader = cluster.leader(1)
        late = next(node for node in cluster.nodes if node is not leader)
        user = leader.make_user("alice")
        repo = user.repo()
        assert Patient(leader).commit(user.token, repo, {"a.txt": b"a"}).status == 200
        data = random_bytes("late deletion", 50_000)
        oid = hashlib.sha256(data).hexdigest()
        upload = Patient(leader).lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0]["actions"]["upload"]["href"]
        assert Patient(leader).request("PUT", upload, data).status == 200
        eventually(lambda: oid in str(late.request("GET", f"/api/models/{repo}/lfs-files", token=user.token).body), 30, "the object everywhere")
        cluster.proxy.isolate(late.name)
        line = ("lfsFile", {"path": "weights.bin", "algo": "sha256", "oid": oid, "size": len(data)})
        eventually(lambda: leader.commit(user.token, repo, [line]).status == 200, 20, "a commit of the others")
        answer = late.request("DELETE", f"/api/models/{repo}/lfs-files/{oid}", token=user.token)
        assert answer.status == 503, answer
        cluster.proxy.mend()
        eventually(lambda: late.request("DELETE", f"/api/models/{repo}/lfs-files/{oid}", token=user.token).status == 409, 60, "the names of the others")
        assert Patient(late).request("GET", f"/{repo}/resolve/main/weights.bin", token=user.token).body == data
    finally:
        cluster.close()
