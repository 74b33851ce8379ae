#!/usr/bin/env python3
"""Recomputes content-v1.json and text-v1.json from docs/block-keys.md, with none
of KVAtlas' code.

Needs the packages xxhash and cbor2. Profile `engine` is checked for the CBOR
algorithms; the pickle ones and `builtin` come from CPython itself:
run it with CPython 3.12 or later and PYTHONHASHSEED=42 to check those too.
"""
import hashlib
import json
import os
import pathlib
import pickle
import struct
import sys

import cbor2
import xxhash

SEED, OPAQUE_SEED, VERSION = 1337, 0x6F7061717565, 1


def xxh3(data, seed):
    return xxhash.xxh3_64_intdigest(data, seed=seed)


def counted(data):
    return struct.pack("<I", len(data)) + data


def scope(space):
    engine = space["profile"] == "engine"
    data = bytes([engine]) + struct.pack("<I", space["block_size"])
    data += counted(space["model"].encode())
    if space["lora"] is not None and not engine:
        data += b"\x01" + counted(space["lora"].encode())
    return xxh3(data, VERSION)


def extras(vector, index, with_offset):
    """Items, salt, embeddings of one block, as (tag, value, offset)."""
    size = vector["space"]["block_size"]
    start, end = index * size, (index + 1) * size
    keys = []
    for identifier, first, length in vector.get("items", []):
        if first < end and start < first + length:
            keys.append((2, identifier, first - start) if with_offset else (1, identifier, None))
    if index == 0 and vector.get("salt"):
        keys.append((1, vector["salt"], None))
    if index < len(vector.get("embeds", [])):
        keys.append((3, bytes.fromhex(vector["embeds"][index]), None))
    return keys


def local_hash(tokens, keys):
    data = b"".join(struct.pack("<I", token) for token in tokens)
    if keys:
        data += b"\xff\xff\xff\xff"
    for tag, value, offset in keys:
        data += bytes([tag]) + counted(value.encode() if tag < 3 else value)
        if tag == 2:
            data += struct.pack("<q", offset)
    return xxh3(data, SEED)


def engine_hashes(vector, blocks):
    """The chain of vLLM, as integers that events carry."""
    rules = vector["engine"]
    algorithm = rules["algorithm"]
    version = tuple(map(int, rules["version"].split(".")))
    intern = {}

    def hashed(value):
        if algorithm == "builtin":
            return hash(value)
        cbor = "cbor" in algorithm
        data = cbor2.dumps(value, canonical=True) if cbor else pickle.dumps(value, protocol=5)
        digest = (
            hashlib.sha256(data).digest()
            if algorithm.startswith("sha256")
            else xxhash.xxh3_128_digest(data)
        )
        return int.from_bytes(digest[-8:], "big") if algorithm.endswith("64bit") else digest

    def text(value):
        return intern.setdefault(value, value)

    def extra(index):
        keys = []
        name = vector["space"]["lora"]
        if name is not None and version >= (0, 31, 0):
            keys.append((text("lora"), text(name), text(vector["lora_path"])))
        elif name is not None:
            keys.append(1 if version < (0, 11, 1) else text(name))
        for tag, value, offset in extras(vector, index, version >= (0, 19, 0)):
            if tag == 2:
                item = (text(value), offset)
                keys.append((text("mm"), *item) if version >= (0, 31, 0) else item)
            else:
                tagged = version >= (0, 31, 0)
                keys.append((text("cache_salt"), text(value)) if tagged else text(value))
        return tuple(keys) or None

    parent, hashes = hashed(rules["seed"]), []
    for index, block in enumerate(blocks):
        parent = hashed((parent, tuple(block), extra(index)))
        short = parent if isinstance(parent, int) else int.from_bytes(parent[-8:], "big")
        hashes.append(short % 2**64)
    return hashes


def check(vector):
    space = vector["space"]
    size, tokens = space["block_size"], vector["tokens"]
    blocks = [tokens[i : i + size] for i in range(0, len(tokens) - size + 1, size)]
    mask = scope(space)
    assert f"{mask:016x}" == vector["scope"], "scope"
    if space["profile"] == "engine":
        keys = [value ^ mask for value in engine_hashes(vector, blocks)]
    else:
        opaque = engine_hashes(vector, blocks) if space["extras"] == "hidden" else None
        with_offset = vector["items_by"] == "identifier and offset"
        keys, locals_, chain = [], [], None
        for index, block in enumerate(blocks):
            own = extras(vector, index, with_offset)
            if opaque and own:
                local = xxh3(struct.pack(">Q", opaque[index]), OPAQUE_SEED)
            else:
                local = local_hash(block, own)
            chain = local if chain is None else xxh3(struct.pack("<QQ", chain, local), SEED)
            locals_.append(local)
            keys.append(chain ^ mask)
        if not opaque:
            assert [f"{value:016x}" for value in locals_] == vector["local_hashes"], "locals"
    assert [f"{key:016x}" for key in keys] == vector["keys"], "keys"


def check_text(vector):
    data = b"\x02" + struct.pack("<I", vector["block_bytes"]) + counted(vector["model"].encode())
    if vector.get("lora"):
        data += b"\x01" + counted(vector["lora"].encode())
    if vector.get("salt"):
        data += b"\x02" + counted(vector["salt"].encode())
    mask = xxh3(data, VERSION)
    assert f"{mask:016x}" == vector["scope"], "scope"
    size, text = vector["block_bytes"], bytes.fromhex(vector["text"])
    keys, chain = [], None
    for start in range(0, len(text) - size + 1, size)[: vector["max_blocks"]]:
        local = xxh3(text[start : start + size], SEED)
        chain = local if chain is None else xxh3(struct.pack("<QQ", chain, local), SEED)
        keys.append(chain ^ mask)
    assert [f"{key:016x}" for key in keys] == vector["keys"], "keys"


def main():
    folder = pathlib.Path(__file__).parent
    vectors = json.loads((folder / "content-v1.json").read_text())
    texts = json.loads((folder / "text-v1.json").read_text())
    python_hash = sys.version_info >= (3, 12) and os.environ.get("PYTHONHASHSEED") == "42"
    checked = 0
    for vector in vectors + texts:
        if vector.get("engine", {}).get("algorithm") == "builtin" and not python_hash:
            print("left out:", vector["name"])
            continue
        try:
            check_text(vector) if "text" in vector else check(vector)
        except AssertionError as error:
            sys.exit(f"{vector['name']}: {error} differ")
        checked += 1
    print(f"{checked} of {len(vectors) + len(texts)} vectors agree")


if __name__ == "__main__":
    main()
