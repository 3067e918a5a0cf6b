"""One ASGI app beside another, under a path of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def beside(app: ASGIApp, path: str, served: ASGIApp) -> ASGIApp:
    """``app``, with ``served`` under ``path`` and outside of whatever ``app`` asks of its callers."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        within = scope["path"][len(scope.get("root_path", "")) :] if _is_rooted(scope) else scope["path"]
        if within == path:
            await RedirectResponse(f"{scope.get('root_path', '')}{path}/")(scope, receive, send)
        elif within.startswith(f"{path}/"):
            await served({**scope, "root_path": scope.get("root_path", "") + path}, receive, send)
        else:
            await app(scope, receive, send)

    return either


def _is_rooted(scope: Scope) -> bool:
    root: str = scope.get("root_path", "")
    return bool(root) and scope["path"].startswith(f"{root}/")
