# SPDX-License-Identifier: MIT
"""Embeds the parts of the module that are written in Lua: embed.py OUTPUT PART.lua ...

The order on the command line is the order in which they are loaded.
"""

import pathlib
import sys


def array(source):
    """The bytes of a part as the initialiser of a C array."""
    lines = []
    for start in range(0, len(source), 16):
        lines.append('    ' + ', '.join(str(byte) for byte in source[start:start + 16]) + ',')
    return '\n'.join(lines)


def main(output, names):
    parts = [pathlib.Path(name) for name in names]
    text = ['/* Made by embed.py. */', '#include "parts.h"', '']
    for part in parts:
        text += [
            f'static const unsigned char {part.stem}[] = {{',
            array(part.read_bytes()),
            '};',
            '',
        ]
    text.append('const struct tcpm__lua_part tcpm__lua_parts[] = {')
    for part in parts:
        text.append(f'    {{"=tcpmulti/{part.name}", (const char *) {part.stem}, '
                    f'sizeof {part.stem}}},')
    text += ['    {0, 0, 0},', '};', '']
    pathlib.Path(output).write_text('\n'.join(text))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
