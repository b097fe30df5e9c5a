"""What a preflight check has found, and how bad that is. Knows no check."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `remedy` says what to do, where something is to be done."""

    check: str
    status: Status
    message: str
    remedy: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, remedy: str = "") -> Finding:
    """A deployment may succeed, and somebody should look."""
    return Finding(check, "warning", message, remedy)


def failed(check: str, message: str, remedy: str) -> Finding:
    """A deployment would fail."""
    return Finding(check, "failed", message, remedy)


def skipped(check: str, message: str, remedy: str = "") -> Finding:
    """Not looked at, and why."""
    return Finding(check, "skipped", message, remedy)


def has_failed(findings: Iterable[Finding]) -> bool:
    """Whether a deployment would fail."""
    return any(finding.status == "failed" for finding in findings)
