#!/bin/busybox sh
# The first program of the guest: modules, then the host's own file system (read-only, changes in memory), then the
# program that does what the host asks.
/bin/busybox mkdir -p /proc /sys /dev /host /over /new
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev
for module in virtio_pci virtio_console 9pnet_virtio 9p overlay xhci_pci usbhid hid_generic evdev usbserial ftdi_sio \
    configfs libcomposite usb_f_hid; do
    modprobe "$module" || echo "GUEST no module $module"
done
modprobe dummy_hcd num=4 || echo "GUEST no module dummy_hcd"
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose host /host || echo "GUEST no host"
mount -t tmpfs over /over && mkdir /over/up /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/up,workdir=/over/work over /new || echo "GUEST no root"
for place in proc sys dev; do mount --move /$place /new/$place; done
mount -t tmpfs tmp /new/tmp && mount -t tmpfs run /new/run
mount -t configfs none /new/sys/kernel/config
ip link set lo up
args=$(cat /new/proc/cmdline)
python=${args##*trace.python=}; python=${python%% *}
program=${args##*trace.program=}; program=${program%% *}
export SYSTEMD_IGNORE_CHROOT=1 # else udevadm does nothing
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
/bin/busybox chroot /new "$python" "$program"
echo "GUEST ended $?"
/bin/busybox poweroff -f
