"""What stages cannot keep of the contract, and why: by stage and clause."""

EXEMPT: dict[str, dict[str, str]] = {
    "hot.fixed": {
        "repairs its damage": "needs a picture that moves: tests/stages/test_repair.py",
        "reach is enough and used": "a frame of pure noise matches nothing and is not looked at",
    },
    "lines.offsets": {
        "repairs its damage": "needs frames around: tests/stages/test_repair.py",
    },
    "weave.translation": {
        "repairs its damage": "needs a clip that weaves: tests/stages/test_weave.py",
        "reach is enough and used": "a frame of pure noise has no way and is not moved",
    },
    "flicker.levels": {
        "repairs its damage": "needs a clip that flickers: tests/stages/test_repair.py",
        "reach is enough and used": "a frame of pure noise matches nothing and is not looked at",
    },
    "scratches.vertical": {
        "repairs its damage": "needs lines over the whole height: tests/stages/test_repair.py",
        "reach is enough and used": "a frame of pure noise matches nothing and is not looked at",
    },
    "dust.spots": {
        "repairs its damage": "needs moving pictures with dust: tests/stages/test_repair.py",
        "reach is enough and used": "a frame of pure noise matches nothing and is not looked at",
    },
    "temporal.median": {
        "says what it leaves": "impulses are no share of the noise's sigma",
        "heeds what is left": "impulses stand out of any noise, also out of none",
    },
    "spatial.wiener": {
        "halo is used": "the block, and with it the halo, follows the measured grain of the shot",
    },
    "spatial.median": {
        "says what it leaves": "impulses are no share of the noise's sigma",
        "heeds what is left": "impulses stand out of any noise, also out of none",
        "halo is used": "two rounds reach this far only through rare chains of impulses",
    },
    "net.cnn": {
        "a level shift commutes": "a network has learned what dark and bright pictures are like",
        "removes noise": "a network finishes what others began; tests/stages/test_cnn.py",
        "stronger is smoother": "as above, after the spatial stage; tests/stages/test_cnn.py",
        "says what it leaves": "its own error is known in the mean: tests/stages/test_cnn.py",
        "flat stays flat": "a network answers to a thousandth of full scale, not to rounding",
    },
    "levels.unclip": {
        "a level shift commutes": "it moves levels, and those near an end alone",
        "repairs its damage": "needs clipped noise and its mean: tests/stages/test_unclip.py",
    },
    "regrow.posterior": {
        "a level shift commutes": "a network has learned what dark and bright pictures are like",
        "flat stays flat": "a network answers to a thousandth of full scale, not to rounding",
        "both ends of every range run": "fifty runs of a network: tests/stages/test_regrow.py",
        "reach is enough and used": "at the price of four networks: as above",
        "block length does not matter": "each frame is by itself: tests/stages/test_regrow.py",
    },
    "sharpen.cas": {
        "a level shift commutes": "less is done near black and white, so that nothing clips",
    },
    "grain.av1": {
        "stronger is grainier": "the decoder draws the grain: no pixel changes here",
    },
}
