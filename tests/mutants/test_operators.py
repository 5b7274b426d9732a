"""Tests of the small changes that are made to the source."""

import unittest

from operators import mutations

FRAME = "int\nname(void)\n{{\n\t{}\n}}\n"


def changes(statement):
    """{(kind, what becomes of the statement)}"""
    source = FRAME.format(statement)
    before, after = FRAME.split("{}")
    before, after = before.format(), after.format()
    return {(each.kind, each.apply(source)[len(before):-len(after)])
            for each in mutations(source)}


class Operators(unittest.TestCase):
    def test_a_condition_is_negated_as_a_whole(self):
        self.assertIn(("negate a condition", "if (!(f(a) && b)) g();"),
                      changes("if (f(a) && b) g();"))

    def test_a_comparison_is_swapped(self):
        for sign, other in (("<", "<="), (">=", ">"), ("==", "!=")):
            self.assertEqual(changes(f"x(a {sign} b)"),
                             {("swap a comparison", f"x(a {other} b)")})

    def test_shifts_and_arrows_are_not_comparisons(self):
        self.assertEqual(changes("x(a << b, c->d)"), set())

    def test_and_becomes_or(self):
        self.assertEqual(changes("x(a && b)"),
                         {("swap && and ||", "x(a || b)")})

    def test_a_number_is_one_more(self):
        self.assertEqual(changes("x(a1, 9)"), {("off by one", "x(a1, 10)")})

    def test_an_array_keeps_its_size(self):
        self.assertEqual(changes("struct pollfd fds[2];"), set())
        self.assertEqual(changes("unsigned char text[3 + LEN];"), set())
        self.assertIn(("off by one", "a[3] = b;"), changes("a[2] = b;"))

    def test_another_value_is_returned(self):
        kind = "return another constant"
        for value, other in (("true", "false"), ("f(a)", "0")):
            self.assertEqual(changes(f"return {value};"),
                             {(kind, f"return {other};")})
        self.assertIn((kind, "return 0;"), changes("return -1;"))

    def test_a_call_is_removed(self):
        for call in ("f(a)", "(void)f(a, g(b))"):
            self.assertEqual(changes(f"{call};"), {("remove a call", ";")})

    def test_an_assignment_is_skipped(self):
        for target in ("a", "*a", "a->b", "a[i].b", "a.b->c"):
            self.assertIn(("skip an assignment", ";"),
                          changes(f"{target} = b;"))
        self.assertIn(("skip an assignment", ";"), changes("a += b;"))

    def test_a_declaration_stays(self):
        self.assertEqual(changes("int a = b;"), set())

    def test_a_step_is_dropped(self):
        for step in ("a++", "break", "continue"):
            self.assertEqual(changes(f"{step};"), {("drop a statement", ";")})

    def test_text_comments_macros_and_assertions_stay(self):
        self.assertEqual(changes('x("a < 1"); /* b < 2 */'),
                         {("remove a call", '; /* b < 2 */')})
        for line in ("// c < 3", "assert(d < 4);", "y('\\'', '1')"):
            self.assertEqual(changes(line), set())
        self.assertEqual(mutations("#define A (b < 1)\nint c = 1;\n"), [])
