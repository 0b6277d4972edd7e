"""An exported folder to the hub, with its card."""

from __future__ import annotations

from pathlib import Path

from tunelab.errors import StorageError, UsageError


def check_push(repository: str) -> None:
    """Refuse what cannot be pushed before anything is made.

    Raises:
        UsageError: there is no token, or no repository can have that name.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--push {repository}: no repository of the hub can be called so: {reason}",
            hint="Give it as OWNER/NAME, such as --push me/my-model.",
        ) from error
    if get_token() is None:
        raise UsageError(
            "--push needs a token of the Hugging Face hub that may write, and there is none.",
            hint="Set HF_TOKEN, or type `hf auth login`. Without --push the folder is made here.",
        )


def push(folder: Path, repository: str, *, space: bool = False) -> str:
    """Upload a folder to a repository of the hub, made private if it is new; returns its address.

    Args:
        folder: with its README.md, which the hub reads.
        repository: OWNER/NAME.
        space: whether the folder is a web app, and not a model.

    Raises:
        StorageError: the hub refuses or cannot be reached; the folder stays.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi

    api, kind = HfApi(), "space" if space else "model"
    try:
        address = api.create_repo(
            repository, repo_type=kind, private=True, exist_ok=True,
            space_sdk="gradio" if space else None,
        )  # fmt: skip
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder)
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StorageError(
            f"{folder} was made, but not pushed to {repository}: {reason}",
            hint=f"Try again: hf upload {repository} {folder} --repo-type {kind}",
        ) from error
    return str(address)
