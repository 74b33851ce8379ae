#!/usr/bin/env python3
"""Writes the expected results beside this file, with the libraries that vLLM
renders through: `pip install jinja2 transformers tokenizers`, then run it.

expressions.txt  one template a line  ->  expressions.json
templates/       with the bodies below ->  conversations.json

A result of null means that rendering fails. Message preparation follows what
vLLM does before it calls transformers; it is written here a second time, so
that the two can be compared.
"""

import copy
import datetime
import json
import pathlib

import tokenizers
import transformers.utils.chat_template_utils as chat_template_utils

HERE = pathlib.Path(__file__).parent
MODEL = HERE / "../../../../testdata/vllm/model"
# 2024-02-29T15:04:05, as the Rust side's fixed clock has it.
NOW = datetime.datetime(2024, 2, 29, 15, 4, 5)
SPECIAL = {
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
}


class FixedDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = FixedDatetime
TOKENIZER = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def prepare_content(role, content, as_parts):
    if content is None:
        parts = []
    elif isinstance(content, str):
        parts = [{"type": "text", "text": content}]
    else:
        parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    texts = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal", "thinking": "thinking"}
    prepared = []
    for part in parts:
        if part["type"] == "tool_reference":
            prepared.append({"type": "tool_reference", "name": part["name"]})
        elif part.get(texts[part["type"]]) is not None:
            prepared.append({"type": "text", "text": part[texts[part["type"]]]})
    if not as_parts:
        plain = [part.get("text", part.get("name")) for part in prepared]
        return "\n".join(text for text in plain if text)
    if role == "tool" and all(part["type"] == "text" for part in prepared):
        return "\n".join(part["text"] for part in prepared)
    return prepared


def prepare_arguments(arguments):
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except json.JSONDecodeError:
            arguments = {}
    return arguments if isinstance(arguments, dict) else {}


def prepare(message, as_parts):
    role = message["role"]
    prepared = {"role": role, "content": prepare_content(role, message.get("content"), as_parts)}
    if role == "assistant":
        calls = [
            {
                "id": call["id"],
                "function": {
                    "arguments": prepare_arguments(call["function"].get("arguments")),
                    "name": call["function"]["name"],
                },
                "type": "function",
            }
            for call in message.get("tool_calls") or []
        ]
        if calls:
            prepared["tool_calls"] = calls
        reasoning = message.get("reasoning") or message.get("reasoning_content")
        if reasoning is not None:
            prepared["reasoning"] = reasoning
            prepared["reasoning_content"] = reasoning
    if role == "tool" and "tool_call_id" in message:
        prepared["tool_call_id"] = message["tool_call_id"]
    if isinstance(message.get("name"), str):
        prepared["name"] = message["name"]
    return prepared


def prepare_tool(tool):
    function = tool["function"]
    known = {name: function.get(name) for name in ("name", "description", "parameters")}
    return {"type": "function", "function": {**known, **{k: v for k, v in function.items() if k not in known}}}


def render(template, body, as_parts):
    kwargs = {**SPECIAL, **body.get("chat_template_kwargs", {})}
    if body.get("reasoning_effort") is not None:
        kwargs.setdefault("enable_thinking", body["reasoning_effort"] != "none")
        kwargs["reasoning_effort"] = body["reasoning_effort"]
    tools = body.get("tools")
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            conversations=[[prepare(message, as_parts) for message in copy.deepcopy(body["messages"])]],
            tools=None if tools is None else [prepare_tool(tool) for tool in tools],
            documents=body.get("documents"),
            chat_template=template,
            continue_final_message=body.get("continue_final_message", False),
            add_generation_prompt=body.get("add_generation_prompt", True),
            **kwargs,
        )
    except Exception as error:  # noqa: BLE001: any failure is the expected result
        print(f"  fails: {type(error).__name__}: {str(error)[:100]}")
        return None
    return rendered[0]


DATA = {
    "text": "é \"quoted\" \\ </b> \t line\n",
    "list": [1, 2.5, None, True, "x"],
    "empty": {},
    "nested": {"z": [], "a": {"k": [{"deep": 1}]}},
}
NUMBERS = [0, -1, 1.0, 0.1, 1e16, 1e15, 123456789.125, 1e-5, 0.0001, 18446744073709551615, -9223372036854775808, 1.7976931348623157e308, 5e-324]
EXPRESSION_BODY = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    ],
    "chat_template_kwargs": {"data": DATA, "numbers": NUMBERS},
}

TOOL = {
    "type": "function",
    "function": {
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Ort, z.B. Köln"}, "days": {"type": "integer", "default": 1.5}},
            "required": ["city"],
        },
        "name": "weather",
        "description": "Looks <b>up</b> the \"weather\"",
        "strict": True,
    },
}
BARE_TOOL = {"type": "function", "function": {"name": "now"}}
CALL = {"type": "function", "id": "call_1", "function": {"name": "weather", "arguments": '{"city": "Köln", "days": 2, "f": 1.0}'}}
CONVERSATION = [
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "What is the weather?"},
    {"role": "assistant", "content": None, "reasoning_content": "I need a tool.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]
PARTS = [
    {"role": "system", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    {"role": "user", "content": [{"type": "text", "text": "  a "}, "b", {"type": "input_text", "text": ""}, {"type": "text", "text": "c", "cache_control": {"x": 1}}]},
    {"role": "skip", "content": "left out"},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}, {"type": "text", "text": None}]},
    {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "r1"}, {"type": "text", "text": "r2"}]},
    {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "r1"}, {"type": "tool_reference", "name": "weather"}]},
    {"role": "user", "content": "last"},
    {"role": "user", "content": "beyond the break"},
]
PLAIN = [
    {"role": "user", "content": "Hi\n\n"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello", "name": "bot"},
    {"role": "user", "content": "Ünïcödé 日本語 🙂 \u2028 <|im_end|> "},
]

BODIES = {
    "plain": {"messages": PLAIN},
    "no generation prompt": {"messages": PLAIN, "add_generation_prompt": False},
    "tools": {"messages": CONVERSATION, "tools": [TOOL, BARE_TOOL]},
    "no tools": {"messages": CONVERSATION, "tools": []},
    "tools apart": {"messages": CONVERSATION, "tools": [TOOL], "chat_template_kwargs": {"tools_in_user_message": False}},
    "custom tools": {"messages": CONVERSATION, "chat_template_kwargs": {"custom_tools": [{"any": ["thing", 1e16]}]}},
    "broken arguments": {
        "messages": [
            *CONVERSATION[:2],
            {"role": "assistant", "content": "calling", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": '{"a": '}}]},
            {"role": "user", "content": "and?"},
        ],
    },
    "list arguments": {
        "messages": [*CONVERSATION[:2], {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "[1]"}}]}],
    },
    "empty calls": {"messages": [*CONVERSATION[:2], {"role": "assistant", "content": "x", "tool_calls": []}]},
    "two calls": {"messages": [*CONVERSATION[:2], {"role": "assistant", "content": "x", "tool_calls": [CALL, CALL]}]},
    "parts": {"messages": PARTS},
    "documents": {"messages": PLAIN, "documents": [{"title": "T", "text": "one"}, {"text": "two"}]},
    "no thinking": {"messages": PLAIN, "chat_template_kwargs": {"enable_thinking": False}},
    "no effort": {"messages": PLAIN, "reasoning_effort": "none"},
    "date": {"messages": PLAIN, "chat_template_kwargs": {"date_string": "1 Jan 1970"}},
    "continue": {
        "messages": [*PLAIN, {"role": "assistant", "content": "It is "}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    },
    "continue parts": {
        "messages": [*PLAIN, {"role": "assistant", "content": [{"type": "text", "text": "It"}, {"type": "text", "text": "is  "}]}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    },
    "continue empty": {
        "messages": [*PLAIN, {"role": "assistant", "content": []}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    },
    "bad role": {"messages": [{"role": "nobody", "content": "x"}]},
    "no messages": {"messages": []},
}
# Which templates want content as parts.
TEMPLATES = {"tools": False, "parts": True, "llama": False, "spaces": False}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def main():
    lines = (HERE / "expressions.txt").read_text().splitlines()
    write("expressions.json", {
        "body": EXPRESSION_BODY,
        "cases": [{"template": line, "rendered": render(line, EXPRESSION_BODY, False)} for line in lines],
    })
    cases = []
    for template, as_parts in TEMPLATES.items():
        source = (HERE / f"templates/{template}.jinja").read_text()
        for name, body in BODIES.items():
            rendered = render(source, body, as_parts)
            ids = None if rendered is None else TOKENIZER.encode(rendered, add_special_tokens=False).ids
            cases.append({"template": template, "parts": as_parts, "name": name, "body": body, "rendered": rendered, "token_ids": ids})
    write("conversations.json", cases)


main()
