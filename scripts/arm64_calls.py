# SPDX-License-Identifier: GPL-2.0
"""What scripts/check-calls reads in the object code of arm64."""

import re

from object_code import FUNCTION, output


class Arm64:
    """Calls through keys. Each function's registers are followed along its jumps."""

    called = "[BbDd] (__SCK__vc_\\S+)"
    SECTION = re.compile(r"^Disassembly of section (.+):$")
    SYMBOL = re.compile(r"^([0-9a-f]{16}) .{7} (\S+)\t[0-9a-f]{16} (?:\.hidden )?(\S+)$")
    RELOCATION = re.compile(r"^\s+[0-9a-f]+:\s+R_AARCH64_(\S+)\s+([^+-]\S*?)(?:\+0x([0-9a-f]+))?$")
    INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*(.*?)\s*(?://.*)?$")
    REGISTER = re.compile(r"^[xw](\d+)$")
    TARGET = re.compile(r"(?:^|, )0x([0-9a-f]+)(?: <.*>)?$")
    PLACE = re.compile(r"^\[x(\d+)(?:, #(0x[0-9a-f]+|\d+))?\]$")
    STACK = re.compile(r"^\[sp(?:, #(0x[0-9a-f]+|\d+))?\]$")
    PROBE = ("probe",)
    ADD = re.compile(r"^x(\d+), x(\d+), #(0x[0-9a-f]+|\d+)$")
    # Of these the first operand is not written.
    READ_ONLY = re.compile(r"^(st(?!l?xr|l?xp)|cmp|cmn|tst|ccm|cb|tb|prfm|msr|dmb|dsb|isb|nop|hint|bti|pac|aut|"
                           r"b$|b\.|ret|brk|tlbi|dc|ic|hvc|smc|svc|udf|sb$)")
    ENDS = {"b", "br", "ret", "retaa", "brk", "udf"}

    def names(self, object_file):
        """Keys by where they are: a compiler may name their section in place of them."""
        found = {}
        for line in output("llvm-objdump", "-t", object_file).splitlines():
            if (symbol := self.SYMBOL.match(line)) and symbol[3].startswith("__SCK__"):
                found[symbol[2], int(symbol[1], 16)] = symbol[3]
        return found

    def functions(self, object_file):
        """Yields (function, [(address, operation, operands, relocation or None)])."""
        function, code = None, []
        for line in output("llvm-objdump", "-dr", "--no-show-raw-insn", object_file).splitlines():
            if found := FUNCTION.match(line):
                if code:
                    yield function, code
                function, code = found[1], []
            elif found := self.RELOCATION.match(line):
                code[-1] = (*code[-1][:3], (found[1], found[2], int(found[3] or "0", 16)))
            elif found := self.INSTRUCTION.match(line):
                code.append((int(found[1], 16), found[2], found[3], None))
        if code:
            yield function, code

    @staticmethod
    def operands(text):
        """Split at commas outside of brackets."""
        return re.findall(r"(?:\[[^\]]*\]!?|\{[^}]*\}|[^,\s][^,]*)", text)

    def value_of(self, registers, part):
        """What a register has, if that is known."""
        register = self.REGISTER.match(part)
        return registers.get(int(register[1])) if register else None

    def place_of(self, registers, part, relocation):
        """What is in memory, as a value: ("in", ...), PROBE, or a number for a place on the stack. None if unknown."""
        if found := self.STACK.match(part):
            return -1 - int(found[1] or "0", 0)
        if not (found := self.PLACE.match(part)):
            return None
        if relocation and "LO12" in relocation[0]:
            value = ("in", *relocation[1:])
        else:
            base = registers.get(int(found[1]))
            if base == self.PROBE or base and base[:2] == ("in", "__tracepoints"):
                return self.PROBE
            value = ("in", base[1], base[2] + int(found[2] or "0", 0)) if base and base[0] == "address" else None
        return value

    def result(self, registers, instruction, parts):
        """What an instruction writes to its first operand, if that is known."""
        _, operation, text, relocation = instruction
        if operation == "adrp" and relocation:
            return ("page", *relocation[1:])
        if operation == "mov" and len(parts) == 2:
            return self.value_of(registers, parts[1])
        if operation == "csel":
            # In place of a key without a function, a function of our own that does nothing.
            one, other = (self.value_of(registers, part) for part in parts[1:3])
            return one if one and one[0] == "in" else other
        if operation == "add" and (found := self.ADD.match(text)):
            if relocation and relocation[0].startswith("ADD_ABS_LO12"):
                return ("address", *relocation[1:])
            base = registers.get(int(found[2]))
            return ("address", base[1], base[2] + int(found[3], 0)) if base and base[0] == "address" else None
        if operation in ("ldr", "ldur", "ldar") and len(parts) == 2:
            place = self.place_of(registers, parts[1].removesuffix("!"), relocation)
            return registers.get(place) if isinstance(place, int) else place
        return None

    def step(self, registers, instruction):
        """The registers after an instruction, as far as they are known: ("page", ...) and ("address", ...) of a section
        or symbol with an offset, ("in", ...) for what is at such an address, ("result", ...) of a call. Negative
        numbers are places on the stack."""
        address, operation, text, relocation = instruction
        after = dict(registers)
        if operation in ("bl", "blr"):
            kept = {number: value for number, value in after.items() if number < 0 or 19 <= number <= 29}
            return {**kept, 0: ("result", address)}
        parts = self.operands(text)
        if operation.startswith("st"):
            for i, part in enumerate(parts[:-1]):
                place = self.place_of(registers, parts[-1], relocation)
                if isinstance(place, int):
                    after.pop(place - 8 * i, None)
                    if value := self.value_of(registers, part):
                        after[place - 8 * i] = value
                elif place and (register := self.REGISTER.match(part)):
                    # What was just put into a key is in it, wherever else it is.
                    value = registers.get(int(register[1]), ())
                    after.update({number: place for number, other in registers.items() if other == value})
                    after[int(register[1])] = place
        if self.READ_ONLY.match(operation):
            return after
        value = self.result(registers, instruction, parts)
        for part in parts[:2] if operation.startswith(("ldp", "ldxp", "ldaxp", "ldnp")) else parts[:1]:
            if register := self.REGISTER.match(part):
                after.pop(int(register[1]), None)
                if value and part.startswith("x"):
                    after[int(register[1])] = value
        # What a place was addressed by may have moved on.
        for part in parts[1:]:
            if (found := re.match(r"^\[x(\d+)", part)) and (part.endswith("!") or parts[-1].startswith("#")):
                base = after.pop(int(found[1]), None)
                if base == self.PROBE or base and base[:2] == ("in", "__tracepoints"):
                    after[int(found[1])] = self.PROBE
        return after

    def states(self, code):
        """The registers in front of each instruction. A place that only jump labels lead to begins with none."""
        places = {instruction[0]: i for i, instruction in enumerate(code)}
        states = [None] * len(code)
        for start in range(len(code)):
            if states[start] is not None:
                continue
            states[start] = {}
            todo = [start]
            while todo:
                i = todo.pop()
                after = self.step(states[i], code[i])
                _, operation, text, _ = code[i]
                following = []
                if operation not in self.ENDS and i + 1 < len(code):
                    following.append(i + 1)
                if operation.startswith(("b", "cb", "tb")) and operation not in ("bl", "blr", "br", "brk", "bti", "bic",
                                                                                "bfi", "bfxil", "bics"):
                    if (found := self.TARGET.search(text)) and int(found[1], 16) in places:
                        following.append(places[int(found[1], 16)])
                for j in following:
                    old = states[j]
                    new = after if old is None else self.both(old, after)
                    if new != old:
                        states[j] = new
                        todo.append(j)
        return states

    def both(self, old, new):
        """What is known where two ways meet."""
        is_probe = {n for n, v in old.items() for w in [new.get(n)]
                    if w and all(x == self.PROBE or x[:2] == ("in", "__tracepoints") for x in (v, w))}
        return {n: self.PROBE if n in is_probe and new[n] != v else v
                for n, v in old.items() if n in is_probe or new.get(n) == v}

    def key(self, value, names):
        """The key that a register's value was loaded from, or None."""
        if not value or value[0] != "in":
            return None
        return value[1] if value[1].startswith("__SCK__") and not value[2] else names.get(value[1:])

    def complaints(self, object_file, watched, called):
        """What is wrong in one object, where watched(function) may make no indirect call; adds the keys that it calls
        to called."""
        names = self.names(object_file)
        bodies = dict(self.functions(object_file))
        hooks = {name.removeprefix("vc_entry_of_") for name in bodies if name.startswith("vc_entry_of_")}
        for function, code in bodies.items():
            counts = any(relocation and relocation[1] in ("inside", "begin") or
                         re.search(r"<(begin|vc_hook_begin)[.>]", text) for _, _, text, relocation in code)
            for instruction, registers in zip(code, self.states(code)):
                _, operation, text, _ = instruction
                where = f"{object_file}: {function}: {operation} {text}"
                parts = self.operands(text)
                if operation.startswith(("blr", "br")) and operation != "brk":
                    value = self.value_of(registers, parts[0])
                    key = self.key(value, names)
                    if key:
                        called.add(key)
                    elif watched(function) and value != self.PROBE:
                        yield f"{where}: an indirect call, and not of a key"
                    if function in hooks and operation.startswith("blr") and not counts:
                        yield f"{where}: a hook that does not count its task calls, where it must jump"
                elif operation.startswith("st") and not self.STACK.match(parts[-1]):
                    for part in parts[:-1]:
                        if key := self.key(self.value_of(registers, part), names):
                            yield f"{where}: stores what is in {key}"
            if function.startswith("vc_entry_of_"):
                ours = function.removeprefix("vc_entry_of_")
                said = [" ".join(instruction[1:3]) for instruction in code[:3]]
                if said[:2] != ["bti c", "mov x30, x9"] or not said[2].startswith("b ") or \
                        not (f"<{ours}>" in said[2] or code[2][3] and code[2][3][1] == ours):
                    yield f"{object_file}: {function}: {'; '.join(said)}: no landing pad that goes on in {ours}"
