"""The Hub's user, and the small requests that clients make around others."""

from typing import Any

from starlette.responses import JSONResponse, Response

from recapdata.hub import card_checks, history
from recapdata.hub.call import Call
from recapdata.hub.endpoints import pages
from recapdata.hub.refusals import bad_request
from recapdata.hub.repositories import DEFAULT_BRANCH, KINDS, timestamp


def whoami(call: Call) -> Response:
    """The Hub's only user, whose token may write to every namespace."""
    user = call.folder.user
    token = {"displayName": "recapdata hub", "role": "write"}
    return JSONResponse(
        {
            "type": "user",
            "id": user,
            "name": user,
            "fullname": user,
            "isPro": False,
            "canPay": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def validate_yaml(call: Call) -> Response:
    """Check the head of a README.md before it is committed."""
    errors, warnings = card_checks.problems(str(call.json().get("content", "")))
    if errors and "text/plain" in call.request.headers.get(
        "accept", ""
    ):  # RepoCard.validate shows the body as it is
        return Response("\n".join(errors), status_code=400, media_type="text/plain")
    found = {"errors": [{"message": m} for m in errors], "warnings": [{"message": m} for m in warnings]}
    return JSONResponse(found, status_code=400 if errors else 200)


def storage(call: Call) -> Response:
    """Repositories with the bytes of their files at `main` (`hf repos ls`): all of them, or those of one namespace."""
    namespace = call.request.path_params.get("namespace")
    rows: list[dict[str, Any]] = []
    for kind, word in KINDS.items():
        for repo_id, settings in call.folder.repositories.all(kind):
            if namespace and repo_id.namespace.lower() != namespace.lower():
                continue
            repo = call.folder.repositories.open(repo_id)
            head = history.resolve(repo, DEFAULT_BRANCH)
            rows.append(
                {
                    "id": str(repo_id),
                    "type": word,
                    "updatedAt": timestamp(head.commit_time),
                    "visibility": "private" if settings.private else "public",
                    "storage": sum(file.size for file in history.files(repo, head)),
                }
            )
    total = sum(row["storage"] for row in rows)
    for row in rows:
        row["storagePercent"] = 100 * row["storage"] / total if total else 0
    return JSONResponse(rows)


def agent_harnesses(call: Call) -> Response:
    """The public Hub lists programs here that its client then looks for; this Hub has no such interest."""
    return JSONResponse({"standardEnvVars": [], "harnesses": {}})


def welcome(call: Call) -> Response:
    """What a person sees who opens the Hub's address: in a browser all repositories."""
    if "text/html" in call.request.headers.get("accept", ""):
        return pages.home(call)
    text = (
        "A recapdata Hub: the Hugging Face Hub's protocol, served from a folder. Speak to it with the stock clients:\n\n"
        f"  export HF_ENDPOINT={call.endpoint}\n  export HF_HUB_DISABLE_XET=1\n\n"
        "and HF_TOKEN as printed where it was started. Lists: /api/models and /api/datasets\n"
    )
    return Response(text, media_type="text/plain; charset=utf-8")


def list_discussions(call: Call) -> Response:
    """No discussions: transformers asks for them before it converts weights."""
    call.visible()
    return JSONResponse({"discussions": [], "count": 0, "start": 0})


def no_discussions(call: Call) -> Response:
    """Raises: Refusal."""
    raise bad_request("This Hub has no pull requests and no discussions: commit to a branch (revision=...).")


def no_squash(call: Call) -> Response:
    """Raises: Refusal."""
    raise bad_request(
        "This Hub never rewrites history, on which published versions rest: start a new repository."
    )
