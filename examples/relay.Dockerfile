# The relay in a container. Keys come as variables or mounted files; state is a volume.
#   docker build -f relay.Dockerfile -t relay .
#   docker run -d -p 5101:5101 -v relay:/home/relay/.local/state -v ./ccsetup:/home/relay/.config/ccsetup \
#     -e ZHIPU_API_KEY relay
# ./ccsetup holds relay.yaml, which listens on 0.0.0.0 with TLS files or 'plain: true', and relay-keys.json
# ('ccsetup relay key add' makes it); both have to belong to user 1000.
FROM python:3.12-slim-bookworm
RUN pip install --no-cache-dir 'ccsetup[relay]'
RUN useradd --uid 1000 --create-home relay
USER relay
RUN mkdir -p /home/relay/.local/state /home/relay/.config/ccsetup
EXPOSE 5101
# The log is JSON on standard error; SIGTERM lets running answers finish.
CMD ["ccsetup", "relay", "run"]
HEALTHCHECK --interval=10s CMD ccsetup relay status
