"""The store exam: every numbered clause of `troth.ports.store`, examined on a store of yours.

```python
class TestMyStore(StoreExam):
    @pytest.fixture
    def log(self, tmp_path) -> Iterator[LogUnderTest]:
        ...
```

A test is named after its clause: ``test_c03_…`` examines clause 3.
"""

from __future__ import annotations

import pytest

from troth.testing.exams.store_bench import LogUnderTest
from troth.testing.exams.store_deciding import DecidingClauses
from troth.testing.exams.store_sharing import SharingClauses
from troth.testing.exams.store_writing import WritingClauses

__all__ = ["LogUnderTest", "StoreExam"]


class StoreExam(WritingClauses, SharingClauses, DecidingClauses):
    """Subclass it under a name that begins with ``Test`` and give it the fixture ``log``."""

    @pytest.fixture
    def log(self) -> LogUnderTest:
        """One empty log of the kind under test; overridden by each candidate."""
        pytest.fail("a candidate for the store exam must have a fixture `log`: see LogUnderTest")
