"""A client that is not ours: nats-py, told on standard input what to ask, printing what it gets.

One line in, one line out. In: {"subject": …, "body": …, "timeout": seconds} for a request, with
"text" instead of "body" for bytes that are no JSON. Out: {"reply": …}, or {"error": …}.
"""

import asyncio
import json
import sys

import nats


async def quiet(_error):
    """A refusal is told by the request that got no answer."""


async def main(url, creds, inbox):
    options = {"servers": [url], "inbox_prefix": inbox, "allow_reconnect": False}
    options["error_cb"] = quiet
    if creds:
        options["user_credentials"] = creds
    client = await nats.connect(**options)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        ask = json.loads(line)
        text = ask["text"] if "text" in ask else json.dumps(ask.get("body", {}))
        try:
            message = await client.request(
                ask["subject"], text.encode(), timeout=ask.get("timeout", 10)
            )
            answer = {"reply": json.loads(message.data)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
