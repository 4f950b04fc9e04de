"""
Tables of text.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.tables import align, figure


class TablesTests(SynchronousTestCase):
    def test_right(self):
        """Columns end at their right, and have two spaces between them."""
        self.assertEqual(
            align([("worker", "calls"), ("1", "20,000")]),
            "worker   calls\n     1  20,000\n",
        )

    def test_left(self):
        """The first ones begin at their left, and no line ends in spaces."""
        self.assertEqual(
            align([("pool", "a", "ms"), ("asynqueue", "bc", ""), ("", "d", "12")], 2),
            "pool       a   ms\nasynqueue  bc\n           d   12\n",
        )

    def test_uneven(self):
        """Rows of different lengths are refused."""
        self.assertRaises(ValueError, align, [("a", "b"), ("c",)])

    def test_figures(self):
        """A number has three digits that count, or all before its point."""
        for value, text in [
            (0, "0"),
            (0.00123456, "0.00123"),
            (0.98765, "0.988"),
            (0.97, "0.970"),
            (1.0, "1.00"),
            (-2.345, "-2.35"),
            (45.678, "45.7"),
            (99.7412, "99.7"),
            (123.4, "123"),
            (1234567.8, "1,234,568"),
        ]:
            self.assertEqual(figure(value), text)
