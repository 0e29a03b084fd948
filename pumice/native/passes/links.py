"""Who makes and who reads each plane, kept right while operations change."""

from collections.abc import Callable

import numpy as np

from pumice.native.expression import Planes
from pumice.native.ir import Operation, Program, read_by


class Links:
    """Of a program, whose list of operations changes with it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kept = set(program.outputs.tolist())
        self.producer: dict[int, Operation] = {}
        self.users: dict[int, set[Operation]] = {}
        for operation in program.operations:
            self._enter(operation)

    def _enter(self, operation: Operation) -> None:
        for plane in operation.outputs.tolist():
            self.producer[plane] = operation
        for planes in read_by(operation):
            for plane in planes.tolist():
                self.users.setdefault(plane, set()).add(operation)

    def _leave(self, operation: Operation) -> None:
        for planes in read_by(operation):
            for plane in planes.tolist():
                self.users[plane].discard(operation)

    def only_producer(self, planes: Planes) -> Operation | None:
        """The operation that makes all of them; None where it is several or the image."""
        makers = {self.producer.get(plane) for plane in planes.tolist()}
        return makers.pop() if len(makers) == 1 else None

    def makes(self, operation: Operation, planes: Planes) -> bool:
        """Whether it makes any of them."""
        return any(self.producer.get(plane) is operation for plane in planes.tolist())

    def used_only_by(self, operation: Operation, reader: Operation) -> bool:
        """Whether nothing else reads what an operation makes, and it is not what the network answers."""
        return all(
            plane not in self.kept and self.users.get(plane, set()) <= {reader} for plane in operation.outputs.tolist()
        )

    def remove(self, operation: Operation) -> None:
        """Take an operation out."""
        self._leave(operation)
        self.program.operations.remove(operation)

    def change(self, operation: Operation, how: Callable[[], None]) -> None:
        """Change what an operation reads or makes."""
        self._leave(operation)
        how()
        self._enter(operation)

    def replace(self, old: Operation, new: list[Operation]) -> None:
        """Put operations in the place of one."""
        self._leave(old)
        where = self.program.operations.index(old)
        self.program.operations[where : where + 1] = new
        for operation in new:
            self._enter(operation)


def places(outputs: Planes, planes: Planes) -> Planes:
    """Where each plane is among the outputs."""
    where = {plane: i for i, plane in enumerate(outputs.tolist())}
    return np.array([where[plane] for plane in planes.tolist()], np.int64)
