#!/usr/bin/env python3
"""Ask a ci-warm host for a test of a recipe's head, wait for it, and end as it ended.

Usage: ask.py URL RECIPE REF [quick]; CI_WARM_TOKEN holds a token of the role `ci` (ci-warm web-token NAME --role ci).
Exit 0: green; 1: the recipe is at fault; 2: it may not be asked for; 3: the host is at fault. Standard library alone.
"""

import json
import os
import sys
import urllib.error
import urllib.request

ENDS = {"green": 0, "red": 1, "partial": 1, "error": 3, "aborted": 3, "died": 3}


def call(url, body=None):
    """One question to the API; what it answers."""
    headers = {"Authorization": f"Bearer {os.environ['CI_WARM_TOKEN']}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"{url}: {error.code}: {error.read().decode(errors='replace')}\n")
        sys.exit(2 if error.code < 500 else 3)
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        sys.exit(3)


def main(url, recipe, ref, mode=""):
    """Ask, and follow the answer."""
    comment = "!testme --quick" if mode == "quick" else "!testme"
    base = f"{url.rstrip('/')}/api/v1"
    asked = call(f"{base}/requests", {"action": "test", "app": recipe, "ref": ref, "comment": comment})
    told = 0
    while True:
        # Answers when the daemon refuses it, or when the test has ended; else after half a minute, for the next look.
        found = call(f"{base}/requests/{asked['id']}?wait=30&run=true")
        reply, run = found["reply"], found["run"]
        if reply and reply["outcome"] != "done":
            sys.stderr.write(reply["text"] + "\n")
            return 2
        for stage in (run or {}).get("stages", [])[told:]:
            sys.stdout.write("{stage:<8} {result:<8} {elapsed_seconds:.1f} s  {reason}\n".format(**stage))
            told += 1
        if run and run["result"] != "running":
            sys.stdout.write("{run}: {mode} {result}, confidence {confidence}\n".format(**run))
            return ENDS[run["result"]]
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
