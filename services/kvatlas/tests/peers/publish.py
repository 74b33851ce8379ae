#!/usr/bin/env python3
"""Plays a recording with libzmq: an engine that connects to a bound subscriber.

    publish.py --connect tcp://HOST:PORT --topic kv@IP:PORT@MODEL --events TAG.events.jsonl [--step]

Publishes everything, or, with --step, as many messages as each line on standard
input says. Prints "published N" (N messages so far) after each round, and stays
until standard input ends.
"""

import argparse
import base64
import json
import sys

import zmq


def messages(path: str, topic: bytes):
    """The frames of each recorded message; other lines are notes."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if "payload_b64" in message:
                frames = [base64.b64decode(message[key]) for key in ("seq_b64", "payload_b64")]
                yield [topic, *frames]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connect", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", required=True)
    parser.add_argument("--step", action="store_true")
    args = parser.parse_args()
    # XPUB looks like PUB to the subscriber, but shows the subscription arrive.
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.set_hwm(0)
    socket.connect(args.connect)
    if socket.poll(10_000) == 0:
        sys.exit("no subscription within 10 s")
    socket.recv()
    pending = list(messages(args.events, args.topic.encode()))
    published = 0
    rounds = (int(line) for line in sys.stdin) if args.step else [len(pending)]
    for count in rounds:
        for frames in pending[published : published + count]:
            socket.send_multipart(frames)
            published += 1
        print(f"published {published}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
