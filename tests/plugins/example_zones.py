"""Zone files for tests: a zone with every kind of name, a zone that its CNAME records point into, and a signed zone."""

EXAMPLE = (
    r"""
$ORIGIN example.org.
$TTL 3600
@ 1800 IN SOA ns1.example.org. hostmaster.example.org. 2024010101 7200 1800 86400 300
@ IN NS ns1
@ IN NS ns.outside.net.
@ IN MX 10 Mail
@ IN MX 20 mail.outside.net.
@ IN A 192.0.2.80
@ IN TXT "v=spf1 -all"
ns1 IN A 192.0.2.1
ns1 IN AAAA 2001:db8::1
mail IN A 192.0.2.25
mail IN AAAA 2001:db8::25
WWW 60 IN A 192.0.2.10
www 60 IN A 192.0.2.11
alias IN CNAME www
alias2 IN CNAME alias
dangle IN CNAME nothere
nodata IN CNAME mailonly
mailonly IN MX 10 mail
out IN CNAME host.other.test.
outnx IN CNAME nx.other.test.
outref IN CNAME x.nozone.test.
loop1 IN CNAME loop2
loop2 IN CNAME loop1
towild IN CNAME some.wild
tocut IN CNAME h.sub
toent IN CNAME ent
"""
    + "".join(f"c{n} IN CNAME c{n + 1}\n" for n in range(17))
    + r"""
c17 IN A 192.0.2.99
*.wild IN A 192.0.2.50
*.wild IN MX 10 mail
host.wild IN TXT "explicit"
a.b.wild IN TXT "below ent"
*.cwild IN CNAME www
*.cloop IN CNAME x.cloop
sub IN NS ns.sub
sub IN NS ns1
sub IN DS 12345 8 2 0101010101010101010101010101010101010101010101010101010101010101
ns.sub IN A 192.0.2.53
h.sub IN A 192.0.2.54
outsub IN NS ns.outside.net.
left IN NS ns.right
right IN NS ns.left
ns.left IN A 192.0.2.55
ns.right IN A 192.0.2.56
*.w1 IN CNAME x.w2
*.w2 IN CNAME x.w3
*.w3 IN CNAME x.w4
*.w4 IN CNAME x.w5
*.w5 IN CNAME x.w6
*.w6 IN CNAME x.d7
d7 IN DNAME d8
d8 IN DNAME d9
d9 IN DNAME d10
d10 IN DNAME d11
d11 IN DNAME d12
x.d12 IN CNAME c16
_sip._tcp IN SRV 10 20 5060 SIP
sip IN A 192.0.2.60
_multi._tcp IN SRV 10 20 5060 sip
_multi._tcp IN SRV 10 30 5061 sip
_multi._tcp IN SRV 10 30 5062 sip.other.test.
svc IN HTTPS 1 . alpn=h2
svc IN A 192.0.2.70
svcx IN SVCB 1 sip port=5060
svca IN HTTPS 0 www
deep.ent IN A 192.0.2.90
dn IN DNAME target
dn IN TXT "at dname"
h.target IN A 192.0.2.91
dnout IN DNAME other.test.
dnlong IN DNAME """
    + ".".join(["x" * 60] * 3)
    + r""".example.org.
both IN CNAME www
both IN TXT "both"
txt IN TXT "one" "two"
\042star IN A 192.0.2.92
naptr IN NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:x@example.org!" .
caa IN CAA 0 issue "ca.test"
sig IN TYPE65400 \# 3 010203
long.a23456789.b23456789.c23456789.d23456789.e23456789.f23456789.g23456789.h23456789.i23456789 IN A 192.0.2.93
to-self IN CNAME to-self
"""
)

OTHER = """
$TTL 300
@ IN SOA ns.other.test. h.other.test. 5 7200 1800 86400 60
@ IN NS ns
ns IN A 192.0.2.2
host IN A 192.0.2.3
"""

SIGNED = """
$TTL 60
@ IN SOA a b 7 1 1 1 1
@ IN RRSIG SOA 8 2 60 20300101000000 20200101000000 1 a.org. AAAA
@ IN NS ns
@ IN RRSIG NS 8 2 60 20300101000000 20200101000000 1 a.org. AAAA
@ IN NSEC c.b NS SOA RRSIG NSEC
@ IN RRSIG NSEC 8 2 60 20300101000000 20200101000000 1 a.org. AAAA
c.b IN A 1.1.1.1
c.b IN RRSIG A 8 4 60 20300101000000 20200101000000 1 a.org. AAAA
c.b IN NSEC ns A RRSIG NSEC
c.b IN RRSIG NSEC 8 4 60 20300101000000 20200101000000 1 a.org. AAAA
ns IN A 1.1.1.2
ns IN RRSIG A 8 3 60 20300101000000 20200101000000 1 a.org. AAAA
ns IN NSEC sub A RRSIG NSEC
ns IN RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 a.org. AAAA
sub IN NS ns.sub
ns.sub IN A 9.9.9.9
sub IN NSEC *.w NS RRSIG NSEC
sub IN RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 a.org. AAAA
*.w IN A 3.3.3.3
*.w IN RRSIG A 8 3 60 20300101000000 20200101000000 1 a.org. AAAA
*.w IN NSEC @ A RRSIG NSEC
*.w IN RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 a.org. AAAA
"""
