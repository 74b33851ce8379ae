#!/usr/bin/env python3
"""Plays a recording with libzmq: an engine that connects to a bound subscriber.

    publish.py --connect tcp://HOST:PORT --topic kv@IP:PORT@MODEL --events TAG.events.jsonl

Prints "published N" when everything is sent, then stays until standard input ends.
"""

import argparse
import base64
import json
import sys

import zmq


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connect", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", required=True)
    args = parser.parse_args()
    # XPUB looks like PUB to the subscriber, but shows the subscription arrive.
    socket = zmq.Context.instance().socket(zmq.XPUB)
    socket.set_hwm(0)
    socket.connect(args.connect)
    if socket.poll(10_000) == 0:
        sys.exit("no subscription within 10 s")
    socket.recv()
    count = 0
    with open(args.events, encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            frames = [base64.b64decode(message[key]) for key in ("seq_b64", "payload_b64")]
            socket.send_multipart([args.topic.encode(), *frames])
            count += 1
    print(f"published {count}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
