# SPDX-License-Identifier: MIT
"""Embeds what is written in Lua, as C.

embed.py parts OUTPUT LIST FOLDER PART.lua ...: parts of a module, in the order in which they are
loaded. LIST is the name of the list in C, FOLDER what stands before the parts' names in tracebacks.

embed.py modules OUTPUT FOLDER MODULE.lua ...: modules of their own. FOLDER/targets/plan.lua is the
module tcpmulti.targets.plan.
"""

import pathlib
import sys


def array(symbol, path):
    """The bytes of a file as an array in C."""
    source = path.read_bytes()
    lines = [f'static const unsigned char {symbol}[] = {{']
    for start in range(0, len(source), 16):
        lines.append('    ' + ', '.join(str(byte) for byte in source[start:start + 16]) + ',')
    return lines + ['};', '']


def source(symbol, name):
    """The initialiser of a struct tcpm__lua_source. NAME stands in tracebacks."""
    return f'{{"={name}", (const char *) {symbol}, sizeof {symbol}}}'


def parts(symbol, folder, *names):
    """A list of parts."""
    paths = [pathlib.Path(name) for name in names]
    text = []
    for path in paths:
        text += array(path.stem, path)
    text.append(f'const struct tcpm__lua_source {symbol}[] = {{')
    text += [f'    {source(path.stem, folder + "/" + path.name)},' for path in paths]
    return text + ['    {0, 0, 0},', '};']


def modules(folder, *names):
    """The list of modules, and for each the function by which a plain luajit opens it."""
    text, entries = [], []
    for name in names:
        path = pathlib.Path(name)
        words = path.resolve().relative_to(pathlib.Path(folder).resolve()).with_suffix('').parts
        symbol, module = '_'.join(words), '.'.join(('tcpmulti',) + words)
        function = f'int luaopen_tcpmulti_{symbol}(struct lua_State *L)'
        text += array(symbol, path)
        text += [f'TCPM_API {function};', function, '{']
        text += [f'    return tcpm__lua_open_module(L, "{module}");', '}', '']
        chunk = source(symbol, '/'.join(('tcpmulti',) + words) + '.lua')
        entries.append(f'    {{"{module}", {chunk}}},')
    text.append('const struct tcpm__lua_module tcpm__lua_modules[] = {')
    return text + entries + ['    {0, {0, 0, 0}},', '};']


def main(kind, output, *arguments):
    text = ['/* Made by embed.py. */', '#include "parts.h"', '']
    text += {'parts': parts, 'modules': modules}[kind](*arguments)
    pathlib.Path(output).write_text('\n'.join(text) + '\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
