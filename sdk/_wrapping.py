"""Decorated functions: the span covers the whole run of the body, and its context is current only inside of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from driftline import _scope
from driftline._operation import NOTHING, Call, Operation
from driftline._settings import settings


def wrap(operation: Operation[Any], function: Any) -> Any:
    """*function*, traced; of the same kind as it was: plain, coroutine, generator, static or class method."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrap(operation, function.__func__))
    if isinstance(function, type):
        raise TypeError(f"{function.__qualname__} is a class: decorate its methods, or use a `with` block")
    traced = operation.named_after(function)
    if inspect.isasyncgenfunction(function):
        return _async_generator(traced, function)
    if _is_coroutine_function(function):
        return _coroutine(traced, function)
    if inspect.isgeneratorfunction(function):
        return _generator(traced, function)
    return _plain(traced, function)


def _plain(traced: Operation[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    quick = traced.quick()

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not settings.enabled:
            return function(*args, **kwargs)
        if quick is not None and (begun := quick.begin(args, kwargs)) is not None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                quick.fail(begun, error)
                raise
            quick.end(begun, result)
            return result
        handle, context = traced.start(None, Call(args, kwargs))
        token = otel_context.attach(context) if context is not None else None
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _scope.detach(token)
            traced.end(handle, error)
            raise
        _scope.detach(token)
        traced.end(handle, None, result)
        return result

    return call


def _coroutine(traced: Operation[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    quick = traced.quick()

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if not settings.enabled:
            return await function(*args, **kwargs)
        if quick is not None and (begun := quick.begin(args, kwargs)) is not None:
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                quick.fail(begun, error)
                raise
            quick.end(begun, result)
            return result
        handle, context = traced.start(None, Call(args, kwargs))
        token = otel_context.attach(context) if context is not None else None
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            _scope.detach(token)
            traced.end(handle, error)
            raise
        _scope.detach(token)
        traced.end(handle, None, result)
        return result

    return call


def _generator(traced: Operation[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        handle, context = traced.start(None, Call(args, kwargs))
        error: BaseException | None = None
        result: Any = NOTHING
        try:
            with _inside(context):
                generator = function(*args, **kwargs)
            step: Callable[[], Any] = generator.__next__
            while True:
                try:
                    with _inside(context):
                        item = step()
                except StopIteration as stop:
                    if stop.value is not None:
                        result = stop.value
                    return stop.value
                try:
                    sent = yield item
                    step = functools.partial(generator.send, sent)
                except GeneratorExit:
                    with _inside(context):
                        generator.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - passed on into the body
                    step = functools.partial(generator.throw, thrown)
        except BaseException as raised:
            error = raised
            raise
        finally:
            traced.end(handle, error, result)

    return iterate


def _async_generator(traced: Operation[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def iterate(*args: Any, **kwargs: Any) -> Any:
        handle, context = traced.start(None, Call(args, kwargs))
        error: BaseException | None = None
        try:
            generator = function(*args, **kwargs)
            step: Callable[[], Any] = generator.__anext__
            while True:
                try:
                    with _inside(context):
                        item = await step()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                    step = functools.partial(generator.asend, sent)
                except GeneratorExit:
                    with _inside(context):
                        await generator.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - passed on into the body
                    step = functools.partial(generator.athrow, thrown)
        except BaseException as raised:
            error = raised
            raise
        finally:
            traced.end(handle, error)

    return iterate


class _inside:  # noqa: N801 - used like a statement
    """The span's context, while the body runs."""

    def __init__(self, context: Context | None) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel_context.attach(self._context) if self._context is not None else None

    def __exit__(self, *_how: object) -> None:
        _scope.detach(self._token)


def _is_coroutine_function(function: Any) -> bool:
    """Also of an object whose `__call__` is one: its span must not end before the work begins."""
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function)
        and not isinstance(function, functools.partial)
        and inspect.iscoroutinefunction(type(function).__call__)
    )
