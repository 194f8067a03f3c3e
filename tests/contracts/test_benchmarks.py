"""Committed measurements keep their schema, and the page is made from them."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import clips, combination, networks, on_gpu, presets, profile, results, scaling
from benchmarks.peers import PEERS, Peer, best_setting
from vdenoise.chain import preset_files

QUALITY = results.load(results.QUALITY)
SPEED = results.load(results.SPEED)
MACHINE = {"cpu", "cores", "memory_gib", "system", "python", "torch", "pyav", "commit"}
ROW: dict[str, type | tuple[type, ...]] = {
    "clip": str,
    "kind": str,
    "competitor": str,
    "frames": int,
    "size": list,
    "setting": dict,
    "tried": int,
    "psnr": (int, float),
    "psnr_y": (int, float),
    "ssim": (int, float),
    "flicker": (int, float),
    "seconds": (int, float),
}


def test_quality_file_keeps_the_schema():
    assert QUALITY["schema"] == results.SCHEMA
    assert set(QUALITY["machine"]) >= MACHINE | {"ffmpeg"}
    assert QUALITY["seed"] == clips.SEED
    rows = QUALITY["rows"]
    assert rows == sorted(rows, key=results.order)
    assert len({results.key(r) for r in rows}) == len(rows)
    for row in rows:
        assert set(row) == set(ROW)
        assert all(isinstance(row[name], kind) for name, kind in ROW.items()), row
        assert row["clip"] in clips.CLEAN and row["kind"] in clips.KINDS
        assert 0 < row["psnr"] < 100 and -1 <= row["ssim"] <= 1 and row["flicker"] >= 0
        assert (row["tried"] > 0) == (row["competitor"] in PEERS)


def test_every_clip_and_kind_has_the_noisy_row_and_ours():
    seen: dict[tuple[str, str], set[str]] = {}
    for row in QUALITY["rows"]:
        seen.setdefault((row["clip"], row["kind"]), set()).add(row["competitor"])
    assert seen
    assert all({"noisy", results.OURS} <= competitors for competitors in seen.values())


def test_ours_is_never_worse_in_ssim_than_the_input():
    ssim = {results.key(r): r["ssim"] for r in QUALITY["rows"]}
    worse = [k for k in ssim if k[2] == results.OURS and ssim[k] < ssim[*k[:2], "noisy"]]
    assert worse == []


def test_quality_page_is_made_from_the_files():
    made = results.quality_page(
        QUALITY, SPEED, results.load(results.NETWORKS), results.load(results.COMBINATION)
    )
    assert results.PAGE.read_text(encoding="utf-8") == made, "run: python -m benchmarks.results"


def test_speed_file_keeps_the_schema():
    assert SPEED["schema"] == results.SCHEMA
    assert set(SPEED["machine"]) >= MACHINE
    for row in SPEED["rows"]:
        assert set(row) == {"competitor", "size", "frames", "seconds", "fps", "peak_mb"}
        assert math.isclose(row["fps"], row["frames"] / row["seconds"], rel_tol=0.02)


def test_saving_and_loading_gives_the_same(tmp_path: Path):
    content = {"schema": 1, "machine": {"cpu": "x"}, "rows": [{"a": 1}, {"a": "é"}]}
    results.save(tmp_path / "r.json", content)
    assert results.load(tmp_path / "r.json") == content
    assert (tmp_path / "r.json").read_text().count("\n") == 10


def test_gain_is_over_the_best_peer_of_each_clip():
    def row(clip: str, competitor: str, psnr: float) -> dict[str, Any]:
        return {"clip": clip, "kind": "film", "competitor": competitor, "psnr": psnr}

    rows = [row("a", "vdenoise", 32), row("a", "nlmeans", 30), row("a", "bm3d", 31)]
    rows += [row("b", "vdenoise", 33), row("b", "nlmeans", 32), row("b", "bm3d", 30)]
    found = results.gains(rows, ("nlmeans", "bm3d"))
    assert found == {("a", "film"): 1, ("b", "film"): 1}


def test_the_search_finds_the_best_of_its_dials():
    clean = torch.full((2, 3, 16, 16), 0.5)
    clip = clips.Clip("tennis", "film", Path("unread"), "yuv420p", clean)

    def run(given: clips.Clip, setting: dict[str, Any]) -> torch.Tensor:
        error = 0.01 + abs(setting["s"] - 7) / 50 + (setting["mode"] == "bad") / 5
        return given.reference + error

    peer = Peer("p", run, {"s": tuple(range(12)), "mode": ("bad", "good")}, {"s": 2, "mode": "bad"})
    setting, tried = best_setting(peer, clip)
    assert setting == {"s": 7, "mode": "good"}
    assert 7 <= tried <= 14


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_searches_begin_on_their_dials(peer: Peer):
    dials = dict(peer.dials) | dict(peer.rgb_dials or {})
    assert set(peer.start) == set(dials)
    assert all(peer.start[name] in values for name, values in dials.items())
    assert peer.name in results.ORDER


def test_yuv_decoding_is_bt709():
    """White, and pure red at the limits of the range: Rec. ITU-R BT.709-6, item 3."""
    white, red = (235, 128, 128), (63, 102, 240)
    for (y, cb, cr), rgb in ((white, (1, 1, 1)), (red, (1, 0, 0))):
        raw = bytes([y] * 16 + [cb] * 4 + [cr] * 4)
        frames = clips.rgb_of(raw, "yuv420p", 4, 4)
        assert torch.allclose(frames[0, :, 1, 1], torch.tensor(rgb).float(), atol=0.006)


NETWORKS = results.load(results.NETWORKS)


def test_networks_file_keeps_the_schema():
    if not NETWORKS:
        pytest.skip("nothing measured yet")
    rows = NETWORKS["rows"]
    assert NETWORKS["schema"] == results.SCHEMA and NETWORKS["seed"] == clips.SEED
    assert [networks.key(row) for row in rows] == sorted({networks.key(row) for row in rows})
    for row in rows:
        assert row["part"] in networks.PARTS
        if row["part"] == "speed":
            assert row["fps_1080p"] > 0 and row["gmacs_per_second"] > 0
        else:
            assert 0 < row["psnr"] <= 100 and row["frames"] > 0 and -1 <= row["structure"] <= 1


def test_structure_in_what_was_removed_is_told_from_noise():
    clean = torch.rand(2, 3, 48, 64)
    noise = torch.randn(clean.shape)
    assert abs(networks.structure(noise, clean)) < 0.03
    detail = clean - torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(clean, (2, 2, 2, 2), mode="replicate"), 5, stride=1
    )
    assert networks.structure(detail, clean) == pytest.approx(1, abs=1e-4)
    assert 0.3 < networks.structure(noise * detail.std() + detail, clean) < 0.9


def test_the_page_has_a_table_for_each_part():
    def row(part: str, competitor: str, told: str, noise: str, **values: Any) -> dict[str, Any]:
        found = {"psnr": 31.234, "flicker": 4.0, "structure": 0.01, "change": 0.2}
        return {
            "part": part,
            "clip": "a",
            "noise": noise,
            "competitor": competitor,
            "told": told,
        } | (found | values)

    rows = [row("gaussian", "classic chain", "measured", f"gaussian:{n}") for n in (30, 10)]
    rows += [row("gaussian", "M", "measured", "gaussian:30", psnr=33.5)]
    rows += [row("real", "M", told, "film:12") for told in ("measured", "best single sigma")]
    rows += [
        row("clean", "M", "measured", "clean"),
        row("precision", "M", "float16", "gaussian:20"),
    ]
    speed = {"device": "cpu", "threads": 2, "parameters": 2_400_000, "kmacs_per_pixel": 94.0}
    speed |= {"fps_1080p": 2.5, "gmacs_per_second": 500.0, "roof_gmacs_per_second": 1000.0}
    rows += [row("speed", "M", "bfloat16", "", **speed)]
    page = results.networks_section(rows)
    assert "| | gaussian:10 | gaussian:30 |" in page and "| M |  | 33.50 |" in page
    assert "| M, best single sigma | 31.23 |" in page
    assert "| M | bfloat16 | CPU, 2 threads | 2.40 M | 94 | 2.5 | 500 | 50% |" in page


def test_combination_file_has_every_set_of_parts():
    rows = results.load(results.COMBINATION)["rows"]
    assert len({combination.key(r) for r in rows}) == len(rows)
    labels = {combination.label(parts) for parts in combination.sets_of_parts()}
    groups: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        groups.setdefault((row["clip"], row["noise"], row["speed"]), set()).add(row["parts"])
        assert 0 < row["psnr"] < 100 and row["flicker"] > 0
    assert groups and all(seen == labels for seen in groups.values())
    wanted = {
        (clip, str(noise), speed)
        for clip in (*clips.CLEAN, clips.SAMPLE)
        for noise in combination.HEAVY
        for speed in combination.SPEEDS
    }
    assert wanted <= set(groups)


def test_on_strong_noise_all_three_beat_the_best_of_them_on_every_clip_at_every_speed():
    rows = results.load(results.COMBINATION)["rows"]
    heavy = {str(noise) for noise in combination.HEAVY}
    for group in {combination.key(row)[:3] for row in rows if row["noise"] in heavy}:
        own = [row for row in rows if combination.key(row)[:3] == group]
        decibels, flicker = results.combination_lead(own)
        assert decibels >= 0.3 and flicker < 0, (group, decibels, flicker)


def test_the_lead_is_over_the_best_single_part():
    rows = [
        {"parts": "net", "psnr": 30.0, "flicker": 6.0},
        {"parts": "spatial", "psnr": 31.0, "flicker": 7.0},
        {"parts": "net + spatial", "psnr": 31.2, "flicker": 5.0},
        {"parts": "temporal + net + spatial", "psnr": 32.0, "flicker": 4.0},
    ]
    assert results.combination_lead(rows) == (1.0, -2.0)


def test_every_preset_has_footage_a_picture_and_its_page():
    assert set(presets.FOOTAGE) == set(preset_files.shipped())
    rows = results.load(results.PRESETS)["rows"]
    measured = [(row["preset"], row["footage"], list(row["instead"])) for row in rows]
    assert measured == [
        (name, footage.text, list(footage.instead))
        for name, meant in presets.FOOTAGE.items()
        for footage in meant
    ]
    assert all((presets.FOLDER / f"{name}.jpg").is_file() for name in presets.FOOTAGE)
    made = presets.page(rows)
    assert presets.PAGE.read_text(encoding="utf-8") == made, "run: python -m benchmarks.presets"


def test_footage_of_color_speckle_has_clean_luma():
    clean = torch.rand(2, 3, 32, 32)
    kept, noisy = presets.color_blotches(clean)
    weights = torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]
    assert kept is clean and float((noisy - clean).abs().mean()) > 0.01
    assert float(((noisy - clean) * weights).sum(1).abs().max()) < 1e-5


def test_profile_file_has_parts_that_add_up_to_a_frame():
    found = results.load(profile.RESULTS)
    assert found["schema"] == results.SCHEMA and set(found["machine"]) >= MACHINE
    rows = found["rows"]
    assert {row["speed"] for row in rows} >= {"fast", "base"}
    for row in rows:
        total = sum(part["ms"] for part in row["parts"])
        assert math.isclose(total, 1000 * row["core_seconds"], abs_tol=2)
        assert row["gb_a_second"] > 0 and row["gmacs_a_second"] > 0
        assert all(operation["ms"] >= 0 for operation in row["operations"])


def test_the_profile_counts_what_a_part_calls_for_the_callee():
    clock = profile.Clock()
    with clock.running("outer"), clock.running("inner"):
        begin = time.thread_time()
        while time.thread_time() < begin + 0.02:
            pass
    assert clock.seconds["inner"] >= 0.02 and clock.seconds["outer"] < 0.01
    assert clock.part == "handing on"


def test_every_part_that_the_profile_counts_is_there():
    with profile.clocked(profile.Clock()):
        pass


def test_what_a_card_is_asked_is_answered_by_a_processor_too():
    card = on_gpu.Card("cpu")
    row = on_gpu.accuracy(card, "fast", on_gpu.TINY)
    assert row["most_codes"] == 0 and row["same_share"] == 1
    row = on_gpu.stages(card, "fast", on_gpu.TINY)
    assert {"temporal.mean", "spatial.wiener"} <= set(row["ms"]) and row["device_memory_gb"] is None
    parts = [part for part, _ in on_gpu.jobs(card, dry=False, seconds=540)]
    assert set(parts) == {"tests", "accuracy", "network", "stages", "end to end"}


def test_a_line_through_points_says_how_far_they_lie_from_it():
    assert scaling.line_through([(0, 1), (1, 3), (2, 5)]) == {
        "slope": 2,
        "start": pytest.approx(1),
        "largest_residual_share": 0,
    }
    assert scaling.line_through([(0, 1), (1, 4), (2, 1)])["largest_residual_share"] == 1
