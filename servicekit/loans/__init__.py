"""Memory lent from one process to another on the same host: a lender's pooled regions, a borrower's read-only views.

The lender's road: ``LoanPool`` -> ``LoanClient.lend``. The borrower's: ``LoanServer`` -> ``Borrowings.take``. Where the two are
not on one host, ``ChunkInbox`` fills the same ``Borrowings`` from a stream of bytes.
"""

from servicekit.loans.borrower import LoanServer
from servicekit.loans.borrowings import BorrowedTensor, Borrowings, BorrowLimits
from servicekit.loans.chunk_inbox import ChunkInbox
from servicekit.loans.lender import Lender, Loan, LoanClient, LoanTimes
from servicekit.loans.messages import TensorHeader
from servicekit.loans.regions import LoanPool, Region
from servicekit.loans.socket_path import SocketPathError

__all__ = [
    "BorrowLimits",
    "BorrowedTensor",
    "Borrowings",
    "ChunkInbox",
    "Lender",
    "Loan",
    "LoanClient",
    "LoanPool",
    "LoanServer",
    "LoanTimes",
    "Region",
    "SocketPathError",
    "TensorHeader",
]
