"""Further texts in a receipt's `message`: those of spandsp, SIP and Asterisk, and plain words.

spandsp's texts are those of `t30_completion_code_to_str`, in all versions. SIP's are the status codes of
RFC 3261 and its successors, Asterisk's the values of DIALSTATUS. Plain words were seen in public clients of
iFax.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

from faxline_worker.ifax.cause import Again, Cause, rows

_spandsp = partial(rows, "spandsp")
_sip = partial(rows, "SIP")
_asterisk = partial(rows, "Asterisk")
_words = partial(rows, "plain words")

SPANDSP: Mapping[str, Cause] = {
    **_spandsp("normal_clearing", Again.OTHER, "OK"),
    # The call was answered, but not by a fax machine: a voice, a switchboard, a machine that is off.
    **_spandsp(
        "no_fax",
        Again.NO_ANSWER,
        """Timed out waiting for initial communication
        Timed out waiting for the first message
        The CED tone exceeded 5s""",
    ),
    # Mostly no paper or a full memory. A person must act, hence the longer waits.
    **_spandsp(
        "not_ready",
        Again.NO_ANSWER,
        """Far end is not able to receive
        Far end is not receive capable
        Timed out waiting for receiver ready (ECM mode)
        Timer T5 expired, receiver not ready""",
    ),
    **_spandsp(
        "resolution_unsupported",
        Again.OTHER,
        "Far end cannot receive at the resolution of the image",
        lower=True,
    ),
    # Nothing in iFax's API changes the paper size, not even faxQuality.
    **_spandsp("size_unsupported", None, "Far end cannot receive at the size of image"),
    **_spandsp("incompatible", None, "Far end is not compatible"),
    # The machine demands a password or a known sender, and would do so again in an hour.
    **_spandsp(
        "not_permitted",
        None,
        """Ident not accepted
        Sub-address not accepted
        Sender identification not accepted
        Password not accepted
        Poll not accepted
        Polled sub-address not accepted
        Selective polling address not accepted
        Transmitting subscriber internet address not accepted
        Internet routing address not accepted
        Calling subscriber internet address not accepted
        Internet selective polling address not accepted
        Called subscriber internet address not accepted""",
    ),
    # The document, as iFax converted it.
    **_spandsp(
        "invalid_file_format",
        None,
        """TIFF/F page not found
        TIFF/F format is not compatible
        TIFF/F page number tag missing
        Incorrect values for TIFF/F tags
        Bad TIFF/F header - incorrect values in fields""",
    ),
    # The fax engine's own trouble with a file, which another try may avoid.
    **_spandsp(
        "line_trouble",
        Again.OTHER,
        """TIFF/F file cannot be opened
        Cannot allocate memory for more pages
        Unsupported feature""",
    ),
    **_spandsp(
        "line_trouble",
        Again.OTHER,
        """The call dropped prematurely
        Disconnected after permitted retries
        Failed to train with any of the compatible modems
        The HDLC carrier did not stop in a timely manner
        Timed out waiting for procedural interrupt
        Operator intervention failed
        Far end is not able to transmit
        Far end is not transmit capable
        Unexpected message received
        Received bad response to DCS or training
        Received a DCN from remote after sending a page
        Invalid ECM response received from receiver
        Received a DCN while waiting for a DIS
        Invalid response after sending a page
        Received other than DIS while waiting for DIS
        Received no response to DCS or TCF
        Received no response to DCS, training or TCF
        No response after sending a page
        Timed out waiting for next send_page command from driver
        Invalid ECM response received from transmitter
        DCS received while waiting for DTC
        Unexpected command after page received
        Carrier lost during fax receive
        Timed out while waiting for EOL (end Of line)
        Timed out while waiting for first line
        Timer T2 expired while waiting for DCN
        Timer T2 expired while waiting for phase D
        Timer T2 expired while waiting for fax page
        Timer T2 expired while waiting for next fax page
        Timer T2 expired while waiting for RR command
        Timer T2 expired while waiting for NSS, DCS or MCF
        Unexpected DCN while waiting for DCS or DIS
        Unexpected DCN while waiting for image data
        Unexpected DCN while waiting for EOM, EOP or MPS
        Unexpected DCN after EOM or MPS sequence
        Unexpected DCN after RR/RNR sequence
        Unexpected DCN after requested retransmission""",
    ),
}

_SIP: Mapping[str, Cause] = {
    **_sip("busy", Again.BUSY, "486 Busy Here\n600 Busy Everywhere"),
    **_sip(
        "no_answer",
        Again.NO_ANSWER,
        "480 Temporarily Unavailable\n408 Request Timeout\n487 Request Terminated",
    ),
    **_sip("unallocated_number", None, "404 Not Found\n604 Does Not Exist Anywhere"),
    **_sip("number_changed", None, "410 Gone"),
    **_sip("invalid_number", None, "484 Address Incomplete"),
    **_sip("rejected", None, "403 Forbidden\n603 Decline\n607 Unwanted\n608 Rejected"),
    **_sip("incompatible", None, "488 Not Acceptable Here\n606 Not Acceptable"),
    **_sip(
        "line_trouble",
        Again.OTHER,
        """500 Server Internal Error
        501 Not Implemented
        502 Bad Gateway
        503 Service Unavailable
        504 Server Time-out
        505 Version Not Supported
        513 Message Too Large
        555 Push Notification Service Not Supported
        580 Precondition Failure""",
    ),
}

ASTERISK: Mapping[str, Cause] = {
    **_asterisk("busy", Again.BUSY, "BUSY"),
    **_asterisk("no_answer", Again.NO_ANSWER, "NOANSWER"),
    **_asterisk("congestion", Again.OTHER, "CONGESTION\nCHANUNAVAIL"),
    **_asterisk("line_trouble", Again.OTHER, "HANGUP"),
    # Like FreeSWITCH's ORIGINATOR_CANCEL: a fax that somebody canceled must not be sent again.
    **_asterisk("canceled", None, "CANCEL"),
}

WORDS: Mapping[str, Cause] = {
    **_words("busy", Again.BUSY, "line busy\nbusy signal"),
    # A person answered: telephone and fax share the line, or a switchboard answered. `attempts` limits how
    # often somebody is called.
    **_words("no_fax", Again.NO_ANSWER, "human answered\nvoice answered\nhuman/voice answered"),
    **_words("not_ready", Again.NO_ANSWER, "out of paper\nno paper"),
    # Numbers that will never work. Further tries would call strangers, and cost money.
    **_words("incompatible", None, "not a fax machine"),
    **_words("unallocated_number", None, "number not in service"),
    **_words("rejected", None, "blacklisted\ndo not call"),
    **_words("invalid_file_format", None, "conversion failed"),
}


def _each_way(row: Mapping[str, Cause]) -> Iterator[tuple[str, Cause]]:
    """`486 Busy Here` is also written `486` and, if not final, `Busy Here`."""
    for text, cause in row.items():
        number, words = re.split(r"\s+", text, maxsplit=1)
        yield text, cause
        yield number, cause
        if cause.again is not None:
            yield words, cause


SIP: Mapping[str, Cause] = dict(_each_way(_SIP))
