"""Every page by a name, with its address and whether one logs in for it; for tests in a browser and for screenshots."""

from collections.abc import Mapping

from tests.studio import Told

Pages = Mapping[str, tuple[str, bool]]

WITHOUT_PHOTOS: Pages = {
    "login": ("/login", False),
    "dashboard-empty": ("/", True),
    "gallery-empty": ("/public/slots/slot-009", False),
    "not-found": ("/nothing", False),
}
"""Before anything has happened (`studio.empty`)."""


def with_photos(told: Told) -> Pages:
    """After `studio.afternoon`."""
    return {
        "dashboard": ("/", True),
        "dashboard-problems": ("/?problems=1", True),
        "slot": ("/slots/slot-001", True),
        "slot-style": ("/slots/slot-013", True),
        "slot-script": ("/slots/slot-010", True),
        "settings": ("/settings", True),
        "photos": ("/jobs", True),
        "photo": (f"/jobs/{told.done}", True),
        "photo-failed": (f"/jobs/{told.failed}", True),
        "photo-open": (f"/jobs/{told.open}", True),
        "statistics": ("/statistics?minutes=1440", True),
        "statistics-slot": ("/statistics?minutes=1440&slot_id=slot-005&table=1", True),
        "result-ready": (f"/public/results/{told.done}", False),
        "result-pending": (f"/public/results/{told.open}", False),
        "result-failed": (f"/public/results/{told.failed}", False),
        "result-expired": (f"/public/results/{told.expired}", False),
        "gallery": ("/public/slots/slot-001", False),
    }
