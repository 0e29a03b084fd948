"""Operations whose results nobody reads."""

from pumice.native.ir import Operation, Program, read_by


def drop_dead(program: Program) -> None:
    """Keep what the answer depends on."""
    needed = set(program.outputs.tolist())
    kept: list[Operation] = []
    for operation in reversed(program.operations):
        if needed.intersection(operation.outputs.tolist()):
            kept.append(operation)
            for planes in read_by(operation):
                needed.update(planes.tolist())
    program.operations = kept[::-1]
