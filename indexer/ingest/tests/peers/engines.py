"""Plays the event publishers of engines, with libzmq's own sockets.

Reads one JSON command per line from stdin, answers one JSON line per command on
stdout. Every engine has a PUB side (an XPUB, so that a test can wait for the
subscription), a sequence, and optionally a replay ROUTER that behaves like
vLLM's: it needs the empty frame, starts silently at its oldest message, and
answers in the old or the new form.
"""

import base64
import json
import sys
import threading
import time

import msgpack
import zmq

END = b"\xff" * 8


class Engine:
    def __init__(self, context, topic, steps):
        self.context = context
        self.topic = topic.encode()
        self.pub = context.socket(zmq.XPUB)
        self.pub.linger = 0
        self.pub.sndhwm = 100_000
        self.sequence = 0
        self.buffer = []
        self.steps = steps
        self.lock = threading.Lock()
        self.router = None

    def publish(self, payload, send):
        sequence = self.sequence
        self.sequence += 1
        if send:
            self.pub.send_multipart([self.topic, sequence.to_bytes(8, "big"), payload])
        with self.lock:
            self.buffer.append((sequence, payload))
            del self.buffer[: max(0, len(self.buffer) - self.steps)]

    def serve_replay(self, address, form):
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.sndhwm = 100_000
        self.router.bind(address)
        threading.Thread(target=self.answer, args=(form,), daemon=True).start()
        return self.router.getsockopt_string(zmq.LAST_ENDPOINT)

    def answer(self, form):
        while True:
            frames = self.router.recv_multipart()
            if len(frames) != 3 or frames[1] != b"":
                continue
            peer, _, start = frames
            start = int.from_bytes(start, "big")
            with self.lock:
                wanted = [entry for entry in self.buffer if entry[0] >= start]
            if form == "shuffled":
                wanted.reverse()
            topic = [] if form == "old" else [self.topic]
            for sequence, payload in wanted:
                self.router.send_multipart([peer, b"", *topic, sequence.to_bytes(8, "big"), payload])
            end = [b""] if form == "old" else [b"", b""]
            self.router.send_multipart([peer, *end, END, b""])


def batch(events, timestamp, rank):
    return msgpack.packb([timestamp, events, rank])


def run():
    context = zmq.Context()
    context.setsockopt(zmq.MAX_SOCKETS, 8192)
    engines = {}
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        engine = engines.get(command.get("name"))
        match command["op"]:
            case "open":
                engine = Engine(context, command["topic"], command.get("steps", 10_000))
                engines[command["name"]] = engine
                if "bind" in command:
                    engine.pub.bind(command["bind"])
                    answer["address"] = engine.pub.getsockopt_string(zmq.LAST_ENDPOINT)
                if "replay" in command:
                    answer["replay"] = engine.serve_replay(command["replay"], command.get("form", "old"))
                if "connect" in command:
                    engine.pub.connect(command["connect"])
            case "connect":
                engine.pub.connect(command["address"])
            case "disconnect":
                engine.pub.disconnect(command["address"])
            case "await_subscriber":
                if engine.pub.poll(20_000):
                    engine.pub.recv()
                else:
                    answer["error"] = "nobody subscribed within 20 s"
            case "publish":
                timestamp = command.get("timestamp") or time.time()
                payload = batch(command["events"], timestamp, command.get("rank"))
                engine.publish(payload, command.get("send", True))
            case "burst":
                now = time.time()
                for number in range(command["count"]):
                    hash = command["first"] + number
                    tokens = [hash, 1, 2, 3]
                    event = ["BlockStored", [hash], None, tokens, 4, None, "GPU", None, [None]]
                    engine.publish(batch([event], now + number / 1e5, 0), True)
            case "resend":
                with engine.lock:
                    sequence, payload = engine.buffer[-1]
                engine.pub.send_multipart([engine.topic, sequence.to_bytes(8, "big"), payload])
            case "payload":
                if "base64" in command:
                    payload = base64.b64decode(command["base64"])
                else:
                    payload = bytes.fromhex(command["hex"])
                engine.publish(payload, command.get("send", True))
            case "raw":
                engine.pub.send_multipart([bytes.fromhex(frame) for frame in command["frames"]])
            case "close":
                engines.pop(command["name"])
                engine.pub.close()
        print(json.dumps(answer), flush=True)


run()
