"""Numbers and names of DNS types, classes, opcodes, response codes and EDNS (IANA DNS parameters)."""

A, NS, MD, MF, CNAME, SOA, MB, MG, MR, NULL = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
PTR, HINFO, MINFO, MX, TXT = 12, 13, 14, 15, 16
RP, AFSDB, RT, SIG, PX, AAAA, NXT, SRV, NAPTR, KX, DNAME, OPT = 17, 18, 21, 24, 26, 28, 30, 33, 35, 36, 39, 41
DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, SVCB, HTTPS, SPF = 43, 46, 47, 48, 50, 51, 64, 65, 99
TSIG, IXFR, AXFR, ANY, CAA = 250, 251, 252, 255, 257

ADDRESS_TYPES = (A, AAAA)
TRANSFER_TYPES = (IXFR, AXFR)

IN, CH, HS, ANY_CLASS = 1, 3, 4, 255

NSID, ECS, COOKIE, KEEPALIVE, PADDING, EDE = 3, 8, 10, 11, 12, 15  # EDNS options

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH = 0, 1, 2, 3, 4, 5, 6, 9
BADVERS, BADCOOKIE = 16, 23

# the INFO-CODEs of extended errors (RFC 8914 §4) that this server sends or looks for; EDE_NAMES has all
EDE_OTHER, EDE_STALE, EDE_BLOCKED, EDE_FILTERED, EDE_PROHIBITED, EDE_STALE_NXDOMAIN = 0, 3, 15, 17, 18, 19
EDE_NOT_AUTHORITATIVE, EDE_NOT_SUPPORTED = 20, 21
EDE_NOT_READY, EDE_NO_AUTHORITY, EDE_NETWORK_ERROR, EDE_INVALID_DATA = 14, 22, 23, 24

TYPE_NAMES = {
    0: "None", 1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL",
    12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT",
    23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID",
    32: "NIMLOC", 33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS",
    44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM",
    52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY",
    61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 100: "UINFO", 101: "UID",
    102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64", 128: "NXNAME",
    249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA",
    258: "AVC", 260: "AMTRELAY", 32768: "TA", 32769: "DLV", 65535: "Reserved",
}  # fmt: skip

CLASS_NAMES = {1: "IN", 2: "CS", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}

RCODE_NAMES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
    8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME",
    21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
}  # fmt: skip

EDE_NAMES = {
    0: "Other Error", 1: "Unsupported DNSKEY Algorithm", 2: "Unsupported DS Digest Type", 3: "Stale Answer",
    4: "Forged Answer", 5: "DNSSEC Indeterminate", 6: "DNSSEC Bogus", 7: "Signature Expired",
    8: "Signature Not Yet Valid", 9: "DNSKEY Missing", 10: "RRSIGs Missing", 11: "No Zone Key Bit Set",
    12: "NSEC Missing", 13: "Cached Error", 14: "Not Ready", 15: "Blocked", 16: "Censored", 17: "Filtered",
    18: "Prohibited", 19: "Stale NXDomain Answer", 20: "Not Authoritative", 21: "Not Supported",
    22: "No Reachable Authority", 23: "Network Error", 24: "Invalid Data",
    25: "Signature Expired before Valid", 26: "Too Early", 27: "Unsupported NSEC3 Iterations Value",
    28: "Unable to conform to policy", 29: "Synthesized", 30: "Invalid Query Type",
    31: "Rate Limited", 32: "Over Quota",
}  # fmt: skip


def type_text(rtype: int) -> str:
    """Return the mnemonic of a type, or `TYPE<n>` (RFC 3597 §5)."""
    return TYPE_NAMES.get(rtype) or f"TYPE{rtype}"


def class_text(rclass: int) -> str:
    """Return the mnemonic of a class, or `CLASS<n>` (RFC 3597 §5)."""
    return CLASS_NAMES.get(rclass) or f"CLASS{rclass}"


def rcode_text(rcode: int) -> str:
    """Return the mnemonic of a response code, or `RCODE<n>`."""
    return RCODE_NAMES.get(rcode) or f"RCODE{rcode}"


def ede_text(info_code: int) -> str:
    """Return the purpose of an extended error's INFO-CODE (RFC 8914 §5.2), or `EDE<n>`."""
    return EDE_NAMES.get(info_code) or f"EDE{info_code}"


def type_from_text(text: str) -> int:
    """Return the type of a mnemonic in any case, of `TYPE<n>` or of a number. Raises ValueError."""
    return _from_text(text, "TYPE", "a type", _TYPE_NUMBERS, 0xFFFF)


def class_from_text(text: str) -> int:
    """Return the class of a mnemonic in any case, of `CLASS<n>` or of a number. Raises ValueError."""
    return _from_text(text, "CLASS", "a class", _CLASS_NUMBERS, 0xFFFF)


def rcode_from_text(text: str) -> int:
    """Return the response code of a mnemonic in any case, of `RCODE<n>` or of a number. Raises ValueError."""
    return _from_text(text, "RCODE", "a response code", _RCODE_NUMBERS, 0xFFF)


def _numbers(names: dict[int, str]) -> dict[str, int]:
    return {name.upper(): number for number, name in names.items()}


_TYPE_NUMBERS = {**_numbers(TYPE_NAMES), "*": ANY}
_CLASS_NUMBERS = {**_numbers(CLASS_NAMES), "*": ANY_CLASS}
_RCODE_NUMBERS = {**_numbers(RCODE_NAMES), "BADSIG": 16}  # shares its number with BADVERS (RFC 8945 §3)


def _from_text(text: str, prefix: str, kind: str, numbers: dict[str, int], most: int) -> int:
    upper = text.upper()
    number = numbers.get(upper)
    if number is not None:
        return number
    digits = upper.removeprefix(prefix)
    if digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= most:
        return int(digits)
    raise ValueError(f"{text!r} is not {kind}; write a mnemonic, {prefix}<n> or a number up to {most}")
