#!/usr/bin/env python3
"""Plays a recording with libzmq: an engine that connects to bound subscribers.

    publish.py --connect tcp://HOST:PORT [--connect ...] --topic kv@IP:PORT@MODEL
               --events TAG.events.jsonl [--step] [--replay tcp://HOST:PORT]

Publishes everything, or, with --step, as many messages as each line on standard
input says. Prints "published N" (N messages so far) after each round, and stays
until standard input ends. With --replay it answers for what it has published, as
vLLM does.
"""

import argparse
import base64
import json
import sys
import threading

import zmq


def messages(path: str, topic: bytes):
    """The frames of each recorded message; other lines are notes."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if "payload_b64" in message:
                frames = [base64.b64decode(message[key]) for key in ("seq_b64", "payload_b64")]
                yield [topic, *frames]


def answer_replays(address: str, published: list) -> None:
    """vLLM's ROUTER: every message from the asked sequence on, then an end mark."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(address)
    while True:
        client, _, start = socket.recv_multipart()
        for frames in list(published):
            if int.from_bytes(frames[1], "big") >= int.from_bytes(start, "big"):
                socket.send_multipart([client, b"", *frames[1:]])
        socket.send_multipart([client, b"", (-1).to_bytes(8, "big", signed=True), b""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connect", required=True, action="append")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", required=True)
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--replay")
    args = parser.parse_args()
    published = []
    if args.replay:
        thread = threading.Thread(target=answer_replays, args=(args.replay, published))
        thread.daemon = True
        thread.start()
    # XPUB looks like PUB to the subscriber, but shows the subscription arrive.
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_VERBOSE, 1)
    socket.set_hwm(0)
    for address in args.connect:
        socket.connect(address)
    for _ in args.connect:
        if socket.poll(30_000) == 0:
            sys.exit("no subscription within 30 s")
        socket.recv()
    pending = list(messages(args.events, args.topic.encode()))
    rounds = (int(line) for line in sys.stdin) if args.step else [len(pending)]
    for count in rounds:
        for frames in pending[len(published) : len(published) + count]:
            published.append(frames)
            socket.send_multipart(frames)
        print(f"published {len(published)}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
