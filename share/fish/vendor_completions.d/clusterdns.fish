# fish completion of clusterdns; load it with: clusterdns completion fish | source

# Succeed where the line has no word after the program yet.
function __clusterdns_begins
    test (count (commandline -opc)) -eq 1
end

# Succeed where the line is one of command $argv[1].
function __clusterdns_in
    set -l words (commandline -opc)
    set -l command 'serve'
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        set command $words[2]
    end
    test "$command" = $argv[1]
end

complete -c clusterdns -e
complete -c clusterdns -f

complete -c clusterdns -n __clusterdns_begins -a 'check' -d 'Report the errors and warnings of a Corefile, or of the ConfigMap it is in'
complete -c clusterdns -n __clusterdns_begins -a 'completion' -d 'Print the completion script of a shell: bash, zsh or fish'
complete -c clusterdns -n __clusterdns_begins -a 'config' -d 'Print the effective Corefile: imports and variables replaced, with origins'
complete -c clusterdns -n __clusterdns_begins -a 'conform' -d 'Ask a cluster\'s DNS server what the specifications require'
complete -c clusterdns -n __clusterdns_begins -a 'explain' -d 'Explain why a name resolves or does not: plugin, object, cause, next step'
complete -c clusterdns -n __clusterdns_begins -a 'fmt' -d 'Format a Corefile: indentation, blanks and blank lines'
complete -c clusterdns -n __clusterdns_begins -a 'man' -d 'Print the man page of the program, or of a command'
complete -c clusterdns -n __clusterdns_begins -a 'names' -d 'List the names that are answered, from a cluster, manifests or a Corefile'
complete -c clusterdns -n __clusterdns_begins -a 'serve' -d 'Run the server, with the flags of CoreDNS'
complete -c clusterdns -n __clusterdns_begins -a 'status' -d 'Show what a running server knows: its watches, upstreams and Corefile'
complete -c clusterdns -n __clusterdns_begins -a 'top' -d 'Show live what a running server is asked and answers'
complete -c clusterdns -n __clusterdns_begins -a 'version' -d 'Print the version'
complete -c clusterdns -n __clusterdns_begins -a 'help' -d 'Print this help, or that of a command'
complete -c clusterdns -n '__clusterdns_in check' -l differences -d 'List how answers will differ from CoreDNS\'s, by directive.'
complete -c clusterdns -n '__clusterdns_in check' -l dns-port -s p -l dns.port -r -f -d 'Port of plain DNS keys without one (default 53).'
complete -c clusterdns -n '__clusterdns_in check' -l json -d 'Print one JSON object: ok, errors, warnings, zones, listeners, differences.'
complete -c clusterdns -n '__clusterdns_in check' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in check' -F
complete -c clusterdns -n '__clusterdns_in completion' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in completion' -f -a 'bash zsh fish'
complete -c clusterdns -n '__clusterdns_in config' -l conf -r -F -d 'The Corefile, as for the server; the same as FILE.'
complete -c clusterdns -n '__clusterdns_in config' -l json -d 'Print one JSON object: ok, blocks, errors, warnings.'
complete -c clusterdns -n '__clusterdns_in config' -l no-origin -d 'Leave out the comments with file and line.'
complete -c clusterdns -n '__clusterdns_in config' -l hide-env -d 'Leave {$NAME} as it is, so that no value of a variable is shown.'
complete -c clusterdns -n '__clusterdns_in config' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in config' -F
complete -c clusterdns -n '__clusterdns_in conform' -l manifests -s f -l filename -r -F -d 'A file or folder of the objects that the server serves, in place of the suite\'s; may be repeated.'
complete -c clusterdns -n '__clusterdns_in conform' -l kubeconfig -r -F -d 'Make the suite\'s objects in this cluster, in namespaces of their own; delete them.'
complete -c clusterdns -n '__clusterdns_in conform' -l context -r -f -d 'The context of the kubeconfig; else its current one.'
complete -c clusterdns -n '__clusterdns_in conform' -l zone -r -f -d 'The cluster\'s zone (default cluster.local).'
complete -c clusterdns -n '__clusterdns_in conform' -l clusterset-zone -r -f -d 'The zone of the clusterset (default clusterset.local).'
complete -c clusterdns -n '__clusterdns_in conform' -l part -r -f -a 'spec mcs rfc' -d 'Only this part: spec, mcs or rfc; may be repeated. Without it mcs is left out where the server does not serve the clusterset\'s zone.'
complete -c clusterdns -n '__clusterdns_in conform' -l only -r -f -d 'Only cases whose ID matches, such as \'spec-2.3.*\' or \'nodata\'; may be repeated.'
complete -c clusterdns -n '__clusterdns_in conform' -l list -d 'List the cases and ask nothing.'
complete -c clusterdns -n '__clusterdns_in conform' -l all -s A -d 'Print the cases that pass as well.'
complete -c clusterdns -n '__clusterdns_in conform' -l json -d 'Print one JSON object.'
complete -c clusterdns -n '__clusterdns_in conform' -l junit -r -F -d 'Write the verdicts to this file as JUnit XML too.'
complete -c clusterdns -n '__clusterdns_in conform' -l timeout -r -f -d 'Time for one reply (default 2); a question over UDP is asked twice.'
complete -c clusterdns -n '__clusterdns_in conform' -l limit -r -f -d 'Time for all cases (default 180).'
complete -c clusterdns -n '__clusterdns_in conform' -l print-fixtures -d 'Print the suite\'s objects as YAML.'
complete -c clusterdns -n '__clusterdns_in conform' -l print-zone -d 'Print the names of the objects as a zone file.'
complete -c clusterdns -n '__clusterdns_in conform' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in explain' -l conf -r -F -d 'Explain by this Corefile, as it would run here.'
complete -c clusterdns -n '__clusterdns_in explain' -l manifests -s f -l filename -r -F -d 'Read a file or folder of manifests; may be repeated.'
complete -c clusterdns -n '__clusterdns_in explain' -l kubeconfig -r -F -d 'Read the cluster of this kubeconfig (default: $KUBECONFIG, ~/.kube/config).'
complete -c clusterdns -n '__clusterdns_in explain' -l context -r -f -d 'The context of the kubeconfig; else its current one.'
complete -c clusterdns -n '__clusterdns_in explain' -l server -s s -r -f -d 'Explain by a running server: the address of its \'ready\', such as 10.1.2.3:8181.'
complete -c clusterdns -n '__clusterdns_in explain' -l from -s n -l namespace -r -f -d 'Ask as a pod of this namespace: walk its search list, with glibc and with musl.'
complete -c clusterdns -n '__clusterdns_in explain' -l client -r -f -d 'The address of the client, which acl may look at (default: the pod\'s, or 127.0.0.1).'
complete -c clusterdns -n '__clusterdns_in explain' -l zone -r -f -d 'The cluster\'s zone, where no Corefile says it; may be repeated (default cluster.local).'
complete -c clusterdns -n '__clusterdns_in explain' -l output -s o -r -f -a 'text json' -d 'text or json (default text).'
complete -c clusterdns -n '__clusterdns_in explain' -l json -d 'The same as --output json.'
complete -c clusterdns -n '__clusterdns_in explain' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in fmt' -l write -s w -d 'Replace each FILE that differs, in place of printing it.'
complete -c clusterdns -n '__clusterdns_in fmt' -l check -d 'Print only the names of those that differ; exit code 1 if there are any.'
complete -c clusterdns -n '__clusterdns_in fmt' -l diff -s d -d 'Print the differences (unified diff) in place of the text.'
complete -c clusterdns -n '__clusterdns_in fmt' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in fmt' -F
complete -c clusterdns -n '__clusterdns_in man' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in man' -f -a 'check completion config conform explain fmt man names serve status top version help'
complete -c clusterdns -n '__clusterdns_in names' -l conf -r -F -d 'List what this Corefile answers, with its zones, TTLs, hosts, files and rewrites.'
complete -c clusterdns -n '__clusterdns_in names' -l manifests -s f -l filename -r -F -d 'Read a file or folder of manifests; may be repeated.'
complete -c clusterdns -n '__clusterdns_in names' -l kubeconfig -r -F -d 'Read the cluster of this kubeconfig (default: $KUBECONFIG, ~/.kube/config).'
complete -c clusterdns -n '__clusterdns_in names' -l context -r -f -d 'The context of the kubeconfig; else its current one.'
complete -c clusterdns -n '__clusterdns_in names' -l zone -r -f -d 'A zone, or a network for its reverse zone; may be repeated (default cluster.local).'
complete -c clusterdns -n '__clusterdns_in names' -l namespace -s n -r -f -d 'Only this namespace; may be repeated (default: all).'
complete -c clusterdns -n '__clusterdns_in names' -l all-namespaces -s A -d 'All namespaces, the default.'
complete -c clusterdns -n '__clusterdns_in names' -l pods -r -f -a 'disabled insecure verified' -d 'How pod names (1-2-3-4.NAMESPACE.pod) are answered: disabled, insecure or verified.'
complete -c clusterdns -n '__clusterdns_in names' -l ttl -r -f -d 'The TTL of records (default 5).'
complete -c clusterdns -n '__clusterdns_in names' -l output -s o -r -f -a 'wide name yaml json' -d 'wide (with namespace, TTL and zone), name, yaml or json; else a table.'
complete -c clusterdns -n '__clusterdns_in names' -l json -d 'The same as --output json.'
complete -c clusterdns -n '__clusterdns_in names' -l no-headers -d 'Do not print the line of headings.'
complete -c clusterdns -n '__clusterdns_in names' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in names' -F
complete -c clusterdns -n '__clusterdns_in serve' -o conf -r -F -d 'Corefile to load, \'stdin\' for standard input (default: Corefile in the working directory)'
complete -c clusterdns -n '__clusterdns_in serve' -o dns.port -o p -r -f -d 'port of plain DNS keys without one (default 53)'
complete -c clusterdns -n '__clusterdns_in serve' -o log-format -r -f -a 'text json' -d 'form of all log lines: text or json (default "text")'
complete -c clusterdns -n '__clusterdns_in serve' -o pidfile -r -F -d 'write the process id to FILE once DNS is answered'
complete -c clusterdns -n '__clusterdns_in serve' -o plugins -d 'list the plugins and exit'
complete -c clusterdns -n '__clusterdns_in serve' -o quiet -d 'do not print zones and version at the start'
complete -c clusterdns -n '__clusterdns_in serve' -o state -r -f -a '(__fish_complete_directories)' -d 'keep the last good Corefile and snapshots of clusters there (default: $CLUSTERDNS_STATE)'
complete -c clusterdns -n '__clusterdns_in serve' -o version -d 'show the version and exit'
complete -c clusterdns -n '__clusterdns_in serve' -o help -o h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in status' -l server -s s -r -f -d 'Address of \'ready\' of the server (default http://127.0.0.1:8181).'
complete -c clusterdns -n '__clusterdns_in status' -l output -s o -r -f -a 'text json' -d 'text or json (default text).'
complete -c clusterdns -n '__clusterdns_in status' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in top' -l server -s s -r -f -d 'Address of \'dashboard\' of the server (default http://127.0.0.1:8053).'
complete -c clusterdns -n '__clusterdns_in top' -l token-file -r -F -d 'The file with the token, where \'dashboard\' has one.'
complete -c clusterdns -n '__clusterdns_in top' -l interval -r -f -d 'Seconds between two pictures, 0.5 to 20 (default 1).'
complete -c clusterdns -n '__clusterdns_in top' -l once -d 'Print one picture as text, and end.'
complete -c clusterdns -n '__clusterdns_in top' -l json -d 'Print one picture as JSON, and end.'
complete -c clusterdns -n '__clusterdns_in top' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in version' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in help' -l help -s h -d 'Print this help.'
complete -c clusterdns -n '__clusterdns_in help' -f -a 'check completion config conform explain fmt man names serve status top version help'
