#!/usr/bin/env python3
"""Asks a scorer as a foreign client would: Python's own gRPC, stubs made from the .proto files.

    pip install -r requirements.txt
    grpc_client.py --target HOST:PORT --model M --tokens FILE [--prompt TEXT] [--expect ADDRESS=TOKENS ...]

Prints one JSON object with what was seen. Exits 1 with a message if a service
is missing, a call fails, or an expectation is not met.
"""

import argparse
import importlib
import json
import pathlib
import sys
import tempfile

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

PROTOS = pathlib.Path(__file__).resolve().parents[4] / "proto"
FILES = ["kvatlas/v1/scorer.proto", "kvatlas/v1/index.proto", "indexer/v1/indexer.proto"]
SERVICES = [
    "grpc.health.v1.Health",
    "indexer.v1.IndexerService",
    "kvatlas.v1.Index",
    "kvatlas.v1.Scorer",
]


class Failed(Exception):
    """What was asked for did not come."""


def stubs(protos: pathlib.Path, out: str) -> dict:
    """Generates and imports the stubs of every served file."""
    roots = [f"-I{protos}", f"-I{protos / 'compat'}"]
    if protoc.main(["protoc", *roots, f"--python_out={out}", f"--grpc_python_out={out}", *FILES]):
        raise Failed("protoc could not compile the .proto files")
    sys.path.insert(0, out)
    modules = {}
    for file in FILES:
        name = file.removesuffix(".proto").replace("/", ".")
        for kind in ("pb2", "pb2_grpc"):
            modules[f"{file}:{kind}"] = importlib.import_module(f"{name}_{kind}")
    return modules


def listed(channel: grpc.Channel) -> list:
    """The services that reflection names."""
    names = sorted(ProtoReflectionDescriptorDatabase(channel).get_services())
    missing = [name for name in SERVICES if name not in names]
    if missing:
        raise Failed(f"reflection does not list {missing}, only {names}")
    return names


def score(channel: grpc.Channel, modules: dict, args: argparse.Namespace) -> dict:
    """One unary call, and the same request on a stream: both must agree."""
    pb2, rpc = (modules[f"kvatlas/v1/scorer.proto:{kind}"] for kind in ("pb2", "pb2_grpc"))
    ids = json.loads(pathlib.Path(args.tokens).read_text())
    request = pb2.ScoreRequest(
        request_id="python", model=args.model, tokens=pb2.TokenIds(ids=ids)
    )
    stub = rpc.ScorerStub(channel)
    answer = stub.Score(request, timeout=args.timeout)
    bad = pb2.ScoreRequest(request_id="bad", model=args.model)
    streamed = {a.request_id: a for a in stub.ScoreStream(iter([bad, request]), timeout=args.timeout)}
    if streamed["bad"].error.code != grpc.StatusCode.INVALID_ARGUMENT.value[0]:
        raise Failed(f"a request without input gave {streamed['bad'].error}")
    key = lambda a: [(e.address, e.rank, e.reusable_tokens) for e in a.endpoints]
    if key(answer) != key(streamed["python"]):
        raise Failed(f"unary {key(answer)} and stream {key(streamed['python'])} differ")
    return {
        "prompt_tokens": answer.prompt_tokens,
        "revision": answer.revision,
        "endpoints": [
            {
                "address": e.address,
                "rank": e.rank,
                "reusable_tokens": e.reusable_tokens,
                "trust": pb2.Trust.Name(e.trust),
            }
            for e in answer.endpoints
        ],
    }


def unknown_model(channel: grpc.Channel, modules: dict, args: argparse.Namespace) -> str:
    """The status of a request that nobody can answer."""
    pb2, rpc = (modules[f"kvatlas/v1/scorer.proto:{kind}"] for kind in ("pb2", "pb2_grpc"))
    request = pb2.ScoreRequest(model="no such model", tokens=pb2.TokenIds(ids=[1]))
    try:
        rpc.ScorerStub(channel).Score(request, timeout=args.timeout)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise Failed(f"an unknown model gave {error.code()}") from error
        return error.details()
    raise Failed("an unknown model was answered")


def pod_scores(channel: grpc.Channel, modules: dict, args: argparse.Namespace) -> dict:
    """llm-d's call; needs a tokenizer on the server."""
    pb2, rpc = (modules[f"indexer/v1/indexer.proto:{kind}"] for kind in ("pb2", "pb2_grpc"))
    request = pb2.GetPodScoresRequest(prompt=args.prompt, model_name=args.model)
    answer = rpc.IndexerServiceStub(channel).GetPodScores(request, timeout=args.timeout)
    return {score.pod: score.score for score in answer.scores}


def stats(channel: grpc.Channel, modules: dict, args: argparse.Namespace) -> dict:
    """The index's sizes."""
    pb2, rpc = (modules[f"kvatlas/v1/index.proto:{kind}"] for kind in ("pb2", "pb2_grpc"))
    answer = rpc.IndexStub(channel).Stats(pb2.StatsRequest(), timeout=args.timeout)
    return {"publishers": answer.publishers, "memberships": answer.memberships}


def serving(channel: grpc.Channel, args: argparse.Namespace) -> str:
    """The health service's word."""
    request = health_pb2.HealthCheckRequest(service="kvatlas.v1.Scorer")
    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=args.timeout)
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if name != "SERVING":
        raise Failed(f"health says {name}")
    return name


def expect(wanted: list, seen: dict) -> None:
    """Compares `ADDRESS=TOKENS` with the answer."""
    best: dict = {}
    for endpoint in seen["endpoints"]:
        address = endpoint["address"]
        best[address] = max(best.get(address, 0), endpoint["reusable_tokens"])
    for text in wanted:
        address, tokens = text.rsplit("=", 1)
        if best.get(address, 0) != int(tokens):
            raise Failed(f"expected {text}, but the answer has {best}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, help="HOST:PORT of the scorer's gRPC")
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokens", required=True, help="file with a JSON list of token ids")
    parser.add_argument("--prompt", help="also call GetPodScores with this text")
    parser.add_argument("--expect", action="append", default=[], metavar="ADDRESS=TOKENS")
    parser.add_argument("--protos", type=pathlib.Path, default=PROTOS)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds per call")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as out, grpc.insecure_channel(args.target) as channel:
        modules = stubs(args.protos, out)
        seen = {"services": listed(channel), "health": serving(channel, args)}
        seen["score"] = score(channel, modules, args)
        seen["unknown_model"] = unknown_model(channel, modules, args)
        seen["stats"] = stats(channel, modules, args)
        if args.prompt is not None:
            seen["pods"] = pod_scores(channel, modules, args)
        expect(args.expect, seen["score"])
    print(json.dumps(seen))


if __name__ == "__main__":
    try:
        main()
    except (Failed, grpc.RpcError, OSError) as error:
        sys.exit(f"grpc_client: {error}")
