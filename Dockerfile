# Two stages: the first builds the wheel and a prefix with everything in it, the second is that prefix on a bare Python.
# docker build -t clusterdns/coredns:0.1.0 .

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY clusterdns clusterdns
COPY share share
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# An interpreter of our own may bind port 53 as any user; the scripts that pip installs start it (docs/decisions/0006).
RUN cp /usr/local/bin/python3.11 /usr/local/bin/clusterdns-python
RUN clusterdns-python -m pip install --no-cache-dir --no-compile --prefix /prefix /wheels/*.whl \
 && cp /usr/local/bin/clusterdns-python /prefix/bin/ \
 && setcap cap_net_bind_service=+ep /prefix/bin/clusterdns-python

FROM python:3.11-slim
COPY --from=build /prefix /usr/local
# The root file system is read-only in a pod, and this image's standard library comes without bytecode: compile it all.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/(lib2to3|test|tests)/' /usr/local/lib/python3.11
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /
USER 65532:65532
RUN ["/usr/local/bin/coredns", "-version"]
EXPOSE 53/udp 53/tcp 8080 8181 9153
ENTRYPOINT ["/usr/local/bin/coredns"]
