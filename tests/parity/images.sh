# The images that the cases use, made by Docker. minidock loads the archive.
set -e
path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
docker import --change "$path" --change 'CMD ["sh"]' busybox.tar busybox

# An image that says everything an image can say about how it wants to run.
export DOCKER_BUILDKIT=0
docker build --quiet --tag configured:1.0 - <<'END'
FROM busybox
ENV COLOUR=blue SPACED="two words"
ENTRYPOINT ["/bin/echo", "entry"]
CMD ["point", "default"]
WORKDIR /made/by/workdir
USER mail
EXPOSE 80/tcp 53/udp
LABEL kind=test two="a b"
STOPSIGNAL SIGINT
END
docker build --quiet --tag shellform - <<'END'
FROM busybox
ENTRYPOINT exec sleep 100
END
docker build --quiet --tag withvolume - <<'END'
FROM busybox
VOLUME /data
END
# No command, nothing but one file.
docker import small.tar nothing

docker save --output all.tar busybox configured:1.0 shellform withvolume nothing
