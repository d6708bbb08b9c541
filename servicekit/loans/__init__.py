"""Memory lent from one process to another on the same host: pooled regions of the lender, read-only views of the borrower.

The lender uses ``LoanPool`` and ``LoanClient.lend``, the borrower ``LoanServer`` and ``Borrowings.borrow``. Between two hosts
``ChunkInbox`` fills the same ``Borrowings`` from a stream of bytes.
"""

from servicekit.loans.borrow_limits import BorrowLimits, PoolLimits
from servicekit.loans.borrower import LoanServer
from servicekit.loans.borrowings import BorrowedTensor, Borrowings
from servicekit.loans.chunk_inbox import ChunkInbox
from servicekit.loans.lender import Lender, Loan, LoanClient, LoanTimes
from servicekit.loans.messages import TensorHeader
from servicekit.loans.regions import LoanPool, Region
from servicekit.socket_path import SocketPathError

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
    "PoolLimits",
    "Region",
    "SocketPathError",
    "TensorHeader",
]
