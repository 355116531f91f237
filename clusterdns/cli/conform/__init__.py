"""`clusterdns conform`: asks any DNS server what the specifications require, case by case, and reports verdicts.

Reading order: `command` (flags, and where the objects come from), `case` (a case as a row: questions and expectations),
`served` (the objects that both sides know), `cases/` (the tables), `expect` (the expectations), `runner` (asks, within
limits of time), `exchange` (sockets), `packet` (queries) and `reply` (received bytes), `report` and `progress`. `live`
makes the objects in a cluster and deletes them, by `objects_api`; `fixtures` has them as YAML and as a zone file.
"""
