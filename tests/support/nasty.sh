# Output that a log must survive: control characters, what JSON and HTML escape, UTF-8 whole, broken and overlong,
# lines around the 16 KiB at which a record is split, nothing at all, and an end without a newline.
printf '\000\001\033[0m\t\r\n\b\f\177 <a>&"\\/\047\n'
printf '\342\200\250 \342\200\251 \342\200\252 \303\251 \343\201\202 \360\237\230\200 \364\217\277\277 \355\237\277\n'
printf '\377\376 \300\200 \301\277 \340\200\200 \355\240\200 \364\220\200\200 \370\210\200\200\200 \n'
printf '\342\202 \360\237\230 \303 \342\202\n'
printf '\200\277\n\n\n'
line() { head -c "$1" /dev/zero | tr '\000' "$2"; }
for size in 16382 16383 16384 16385 32767 32768 32769 50000; do line $size a; echo; done
line 16383 b; printf '\303\251\n'
line 100000 '<'; echo
i=0; while [ $i -lt 300 ]; do echo "line $i with some text"; i=$((i + 1)); done
line 20000 c; sleep 0.1; line 20000 d; echo
line 70000 '\001'; echo
printf 'no end'
