"""The store's index of a hub that is stopped, read and robbed of entries as a bug or a bad disk would: over RocksDB's C interface. Keys are a zero byte, a letter, and
what store/index.h says."""
import ctypes
import ctypes.util
import pathlib
import struct

HASH = 32
OWNER = 12


def _library():
    library = ctypes.CDLL(ctypes.util.find_library("rocksdb") or "librocksdb.so")
    for name, result, arguments in (
            ("rocksdb_options_create", "p", ""), ("rocksdb_open", "p", "psp"), ("rocksdb_close", None, "p"),
            ("rocksdb_writeoptions_create", "p", ""), ("rocksdb_readoptions_create", "p", ""),
            ("rocksdb_put", None, "ppsnsnp"), ("rocksdb_delete", None, "ppsnp"), ("rocksdb_create_iterator", "p", "pp"),
            ("rocksdb_iter_seek", None, "psn"), ("rocksdb_iter_valid", "b", "p"), ("rocksdb_iter_next", None, "p"),
            ("rocksdb_iter_key", "p", "pp"), ("rocksdb_iter_value", "p", "pp"), ("rocksdb_iter_destroy", None, "p")):
        function = getattr(library, name)
        kinds = {"p": ctypes.c_void_p, "s": ctypes.c_char_p, "n": ctypes.c_size_t, "b": ctypes.c_ubyte}
        function.restype = kinds[result] if result else None
        function.argtypes = [kinds[kind] for kind in arguments]
    return library


class StoreIndex:
    def __init__(self, hub):
        self.rocksdb = _library()
        error = ctypes.c_char_p()
        path = str(pathlib.Path(hub.data_dir) / "store" / "index").encode()
        self.db = self.rocksdb.rocksdb_open(self.rocksdb.rocksdb_options_create(), path, ctypes.byref(error))
        assert self.db, error.value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rocksdb.rocksdb_close(self.db)

    def entries(self, letter):
        """{rest of the key: value}"""
        prefix = b"\0" + letter.encode()
        found = {}
        iterator = self.rocksdb.rocksdb_create_iterator(self.db, self.rocksdb.rocksdb_readoptions_create())
        self.rocksdb.rocksdb_iter_seek(iterator, prefix, len(prefix))
        length = ctypes.c_size_t()
        while self.rocksdb.rocksdb_iter_valid(iterator):
            key = ctypes.string_at(self.rocksdb.rocksdb_iter_key(iterator, ctypes.byref(length)), length.value)
            if not key.startswith(prefix):
                break
            found[key[2:]] = ctypes.string_at(self.rocksdb.rocksdb_iter_value(iterator, ctypes.byref(length)), length.value)
            self.rocksdb.rocksdb_iter_next(iterator)
        self.rocksdb.rocksdb_iter_destroy(iterator)
        return found

    def put(self, letter, key, value):
        error, key = ctypes.c_char_p(), b"\0" + letter.encode() + key
        self.rocksdb.rocksdb_put(self.db, self.rocksdb.rocksdb_writeoptions_create(), key, len(key), value, len(value), ctypes.byref(error))
        assert not error.value, error.value

    def drop(self, letter, key):
        error, key = ctypes.c_char_p(), b"\0" + letter.encode() + key
        self.rocksdb.rocksdb_delete(self.db, self.rocksdb.rocksdb_writeoptions_create(), key, len(key), ctypes.byref(error))
        assert not error.value, error.value

    # ---- what the store makes of it

    def files(self):
        return self.entries("f")

    def claims(self):
        """{file hash + owner: when}"""
        return {key: struct.unpack("<q", value)[0] for key, value in self.entries("o").items()}

    def drop_claim(self, claim):
        self.drop("o", claim)
        self.drop("w", claim[HASH:] + claim[:HASH])

    def age_claim(self, claim, days):
        self.put("o", claim, struct.pack("<q", self.claims()[claim] - days * 24 * 3600 * 1000))

    def record_of(self, file):
        """(number of terms, volume, offset of the record) of a file."""
        terms, volume, offset = struct.unpack_from("<IIQ", self.files()[file], HASH + 20)
        return terms, volume, offset
