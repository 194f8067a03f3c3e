"""Film grain as AV1 has it: its numbers, fitting them to removed noise, tables of them."""
