"""A plan, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdenoise.settings.text import counted

if TYPE_CHECKING:
    from vdenoise.engine.plan import Plan
    from vdenoise.picture.frame import ClipInfo


def frame_number(info: ClipInfo, n: int) -> int:
    """A frame counted from 0, in the numbers people see: those of a sequence's files."""
    return n if info.sequence is None else info.sequence.numbers[n]


def frames_text(plan: Plan) -> str:
    """``1001-1100 (100)``, in the numbers people see."""
    first, last = (frame_number(plan.info, n) for n in (plan.first, plan.last))
    return f"{first}-{last} ({len(plan.positions)})"


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """What ``--dry-run`` prints."""
    from vdenoise import ui
    from vdenoise.workflows.room import room_text

    if as_json:
        ui.result_json(plan.to_json())
        return
    info, chain, output = plan.info, plan.chain, plan.chain.output
    shown = {
        "input": f"{info.path}, {info.width}x{info.height}, {float(info.rate):.6g} fps"
        + (", variable" if info.variable_rate else ""),
        "output": f"{plan.output}, {plan.encode.label}",
        "frames": frames_text(plan),
        "preset": f"{chain.preset}, speed {chain.speed}",
        "removes": f"{output.luma:g} % of the luma noise, {output.chroma:g} % of the chroma noise",
        "bit path": plan.bit_path,
        "device": plan.device
        + (f", {plan.workers} frames side by side" if plan.workers > 1 else ""),
        "memory": f"about {plan.memory_bytes // 2**20} MiB",
        "disk": room_text(plan),
    }
    for mask in chain.masks:
        shown[f"mask {mask.name}"] = mask.text
    for view in plan.views:
        shown[f"{view.kind} out"] = f"{view.path}, {view.encode.label}"
    if plan.noise_out is not None and plan.noise_encode is not None:
        shown["noise out"] = f"{plan.noise_out}, {plan.noise_encode.label}"
    ui.facts("", shown)
    rows = [
        (
            step.stage.name,
            ", ".join(f"{k}={v}" for k, v in step.stage.model_dump(mode="json").items()),
            f"{step.stage.reach}",
            step.precision,
            counted(step.block, "frame") + ("" if step.tile is None else f", {step.tile} px tiles"),
        )
        for step in plan.steps
    ]
    if rows:
        ui.result("")
        ui.table("", ("stage", "parameters", "reach", "precision", "at once"), rows)
